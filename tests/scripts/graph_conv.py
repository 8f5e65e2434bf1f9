"""A graph convolutional network on a made-up citation graph: sparse adjacency, full-batch steps."""

import argparse
import math
from itertools import pairwise

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.parameter import Parameter

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, default=42)
parser.add_argument("--epochs", type=int, default=100)
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--weight_decay", type=float, default=5e-4)
parser.add_argument("--hidden", type=int, default=16)
parser.add_argument("--layers", type=int, default=2)
parser.add_argument("--dropout", type=float, default=0.3)
args = parser.parse_args()
torch.manual_seed(args.seed)


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = Parameter(torch.empty(in_features, out_features))
        self.bias = Parameter(torch.empty(out_features))
        stdv = 1.0 / math.sqrt(out_features)
        self.weight.data.uniform_(-stdv, stdv)
        self.bias.data.uniform_(-stdv, stdv)

    def forward(self, input, adj):
        support = torch.mm(input, self.weight)
        return torch.spmm(adj, support) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, layers, dropout):
        super().__init__()
        sizes = [nfeat] + [nhid] * (layers - 1) + [nclass]
        self.gc = nn.ModuleList([GraphConvolution(a, b) for a, b in pairwise(sizes)])
        self.dropout = dropout

    def forward(self, x, adj):
        for gc in self.gc[:-1]:
            x = F.relu(gc(x, adj))
            x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc[-1](x, adj), dim=1)


def load_data(nodes=400, classes=4):
    labels = torch.randint(classes, (nodes,))
    same = labels.view(-1, 1) == labels
    link = torch.rand(nodes, nodes) < torch.where(same, 0.03, 0.004)
    adj = (link | link.T | torch.eye(nodes, dtype=torch.bool)).float()
    adj = (adj / adj.sum(1, keepdim=True)).to_sparse()
    features = (torch.rand(nodes, 50) < 0.1).float()
    features[torch.arange(nodes), labels * 3 + torch.randint(3, (nodes,))] = 1
    return adj, features / features.sum(1, keepdim=True), labels


adj, features, labels = load_data()
idx_train, idx_val = range(150), range(200, 400)
model = GCN(features.shape[1], args.hidden, 4, args.layers, args.dropout)
optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)

for epoch in range(args.epochs):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()
    model.eval()
    output = model(features, adj)
    acc_val = (output[idx_val].argmax(1) == labels[idx_val]).float().mean().item()
    if epoch % 20 == 0:
        print(f"Epoch: {epoch + 1:04d} loss_train: {loss_train.item():.4f} acc_val: {acc_val:.4f}")
print("Optimization Finished!", acc_val)
print("final", loss_train.item())
