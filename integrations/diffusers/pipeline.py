"""For `DiffusionPipeline.from_pretrained(model, custom_pipeline="<this folder>", trust_remote_code=True)`."""

from stereodiffusion.integrations.diffusers import StereoPipeline

__all__ = ["StereoPipeline"]
