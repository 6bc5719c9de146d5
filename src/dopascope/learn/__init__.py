"""The visible training loop (torch, Lightning Fabric), checkpoints, and opening weights."""
