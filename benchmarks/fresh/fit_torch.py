"""A whole program: import, build, fit 1,000 rows of 20 columns for one epoch, exit."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(1000, 20)
y = x[:, :1] * x[:, 1:2]
net = nn.Sequential(
    nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
)
adam = torch.optim.Adam(net.parameters(), lr=1e-3, fused=True)
loss = nn.MSELoss()
order = torch.randperm(len(x))
for i in range(0, len(x), 32):
    rows = order[i : i + 32]
    adam.zero_grad(set_to_none=True)
    loss(net(x[rows]), y[rows]).backward()
    adam.step()
