"""The workers of a multi-worker run: who they are, which GPUs each uses, and how they meet before TensorFlow starts.

Nothing here imports TensorFlow: `TF_CONFIG` and Slurm's variables are parsed by pure functions, and `wait_for_peers`
uses plain sockets.
"""

from reglab.cluster.base import Cluster
from reglab.cluster.environment import cluster_from_environment, find_cluster, own_gpus
from reglab.cluster.gathering import RendezvousError
from reglab.cluster.rendezvous import wait_for_peers

__all__ = ["Cluster", "RendezvousError", "cluster_from_environment", "find_cluster", "own_gpus", "wait_for_peers"]
