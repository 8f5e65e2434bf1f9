"""What ends a program that has shown enough; without torch, for the program may not have imported it yet."""


class EnoughSteps(BaseException):
    """livegrad has seen the steps that it wanted to see: no error, neither the program's nor ours."""

    exit_code = 0


class CannotGoOn(EnoughSteps):
    """What livegrad was asked to do with the program cannot be done; it has been said why."""

    exit_code = 2
