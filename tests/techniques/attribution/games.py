"""Small networks whose answers are known, and Shapley values by their definition."""

import itertools
from math import factorial

import torch
from answers import unit
from torch import nn
from traced import model_of

ELEMENTS = {"features": ("element_features", {})}
GRID = {"features": ("grid_features", {"cells": 2})}


class Game(nn.Module):
    """a b + 2 c + max(a, c) - d^2 d', where e does nothing; the second output is linear."""

    def forward(self, x):
        a, b, c, d, e = x.unbind(1)
        first = a * b + 2 * c + torch.maximum(a, c) - d.square() * a + 0 * e
        return torch.stack([first, 3 * a - b + 2 * d], 1)


GAME = Game()
PLAYERS = torch.tensor([[1.0, 2.0, 1.5, -0.5, 3.0], [2.0, 2.0, -1.0, 1.0, 0.5]])


def game():
    """The game as a model, and its targets."""
    model = model_of(Game(), 5)
    return model, [unit(model, 0), unit(model, 1)]


def shapley(function, sample, baseline):
    """The definition: for each set of others, what a player brings, [players, outputs]."""
    players = range(len(sample))

    def worth(members):
        there = torch.tensor([player in members for player in players])
        return function(torch.where(there, sample, baseline)[None])[0]

    values = []
    for player in players:
        others = [each for each in players if each != player]
        value = 0
        for size in range(len(others) + 1):
            weight = factorial(size) * factorial(len(others) - size) / factorial(len(sample))
            for members in itertools.combinations(others, size):
                value = value + weight * (worth({*members, player}) - worth(set(members)))
        values.append(value)
    return torch.stack(values)


def exact():
    """The Shapley values of the game, [targets, samples, players]."""
    found = [shapley(GAME, sample.double(), torch.zeros(5).double()) for sample in PLAYERS]
    return torch.stack(found).permute(2, 0, 1).float()
