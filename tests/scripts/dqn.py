"""Deep Q-learning on a grid: epsilon-greedy, replay memory, soft updates of a target network."""

import math
import random
from collections import deque, namedtuple

import torch
import torch.nn as nn
import torch.optim as optim

SEED = 3
BATCH_SIZE = 64
GAMMA = 0.95
EPS_START, EPS_END, EPS_DECAY = 0.9, 0.05, 300
TAU = 0.02
LR = 3e-3
SIZE = 4

random.seed(SEED)
torch.manual_seed(SEED)
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class Grid:
    """Walk from a random cell to the far corner; every move costs a little."""

    moves = ((0, 1), (0, -1), (1, 0), (-1, 0))

    def reset(self):
        self.x, self.y = random.randrange(SIZE), random.randrange(SIZE - 1)
        return self.observe()

    def observe(self):
        state = torch.zeros(1, SIZE * SIZE)
        state[0, self.x * SIZE + self.y] = 1
        return state

    def step(self, action):
        dx, dy = self.moves[action]
        self.x = min(max(self.x + dx, 0), SIZE - 1)
        self.y = min(max(self.y + dy, 0), SIZE - 1)
        done = self.x == self.y == SIZE - 1
        return self.observe(), 1.0 if done else -0.04, done


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque(maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 64)
        self.layer2 = nn.Linear(64, 64)
        self.layer3 = nn.Linear(64, n_actions)

    def forward(self, x):
        x = torch.relu(self.layer1(x))
        x = torch.relu(self.layer2(x))
        return self.layer3(x)


env = Grid()
policy_net = DQN(SIZE * SIZE, 4)
target_net = DQN(SIZE * SIZE, 4)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)
memory = ReplayMemory(2000)
steps_done = 0


def select_action(state):
    global steps_done
    eps_threshold = EPS_END + (EPS_START - EPS_END) * math.exp(-steps_done / EPS_DECAY)
    steps_done += 1
    if random.random() > eps_threshold:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(4)]])


def optimize_model():
    if len(memory) < BATCH_SIZE:
        return
    batch = Transition(*zip(*memory.sample(BATCH_SIZE), strict=True))
    non_final_mask = torch.tensor([s is not None for s in batch.next_state])
    state_batch = torch.cat(batch.state)
    action_batch = torch.cat(batch.action)
    reward_batch = torch.cat(batch.reward)
    state_action_values = policy_net(state_batch).gather(1, action_batch)
    next_state_values = torch.zeros(BATCH_SIZE)
    with torch.no_grad():
        next_states = torch.cat([s for s in batch.next_state if s is not None])
        next_state_values[non_final_mask] = target_net(next_states).max(1).values
    expected = next_state_values * GAMMA + reward_batch
    loss = nn.SmoothL1Loss()(state_action_values, expected.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    optimizer.step()


lengths = []
for _episode in range(80):
    state = env.reset()
    length = 0
    for _step in range(50):
        action = select_action(state)
        observation, reward, terminated = env.step(action.item())
        next_state = None if terminated else observation
        memory.push(state, action, next_state, torch.tensor([reward]))
        state = next_state
        optimize_model()
        target_net_state_dict = target_net.state_dict()
        policy_net_state_dict = policy_net.state_dict()
        for key in policy_net_state_dict:
            target_net_state_dict[key] = policy_net_state_dict[key] * TAU + target_net_state_dict[key] * (
                1 - TAU
            )
        target_net.load_state_dict(target_net_state_dict)
        length += 1
        if terminated:
            break
    lengths.append(length)
print("first episodes", sum(lengths[:20]) / 20)
print("final", sum(lengths[-20:]) / 20)
