"""Videos to stereo videos: depth held steady, occlusions filled by what neighbouring frames have seen.

request     what is asked for                   source      frames and sound of a file, upright
motion      where things were a frame ago       cuts        where a scene begins
steady      depth from frame to frame           view        the right eye's picture, before it is filled
keys        the diffusion model on key frames   fill        from frames before and after
making      frames in, both eyes out            encoding    frames to packets, and together
parts       what is done already, on disk       stereo_mode what a container says of its eyes
converting  a file into a file

`import stereodiffusion.video` loads neither torch nor PyAV.
"""

from stereodiffusion.video.request import VIDEO_FORMATS, KeyFrames, VideoRequest

__all__ = ["VIDEO_FORMATS", "KeyFrames", "VideoRequest"]
