"""What ends a program that has shown enough; without torch, for the program may not have imported it yet."""


class EnoughSteps(BaseException):
    """livegrad has seen the steps that it wanted to see: no error, neither the program's nor ours."""
