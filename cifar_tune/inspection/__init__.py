"""A checkpoint -> what its model says and sees. torch, no Ray.

from cifar_tune.inspection import Predictor

predictor = Predictor.load("results/quickstart/t0004")
predictor.predict("five.png", top_k=3)
"""

from cifar_tune.inspection.predictor import ClassProbability, NetworkPredictor, Predictor
from cifar_tune.inspection.trained import read_trained

__all__ = ["ClassProbability", "NetworkPredictor", "Predictor", "read_trained"]
