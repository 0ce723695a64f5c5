"""The bases of the configs here; also installed as loss_plugins.adapters.mmdet._base_, for loss-plugins demo-mmdet."""
