"""What is looked at of a model's files before a library opens them, and of a library's report afterwards.

A model comes from anywhere. Its files must be plain ones in its own folder, its weights safetensors, its configuration
of the size of its weights; and what it lacks is never made up.
"""
