"""The package behind the interfaces of other programs: thin layers over requests.

diffusers    a pipeline, `StereoPipeline`
"""
