"""A results folder -> what other tools show: TensorBoard, MLflow, Weights & Biases. Reads the tables alone."""
