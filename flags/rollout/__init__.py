"""How a feature reaches all merchants: phase by phase, guarded."""
