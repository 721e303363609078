"""The method on latents, readable beside the paper: tensors in, tensors out.

schedule     the noise levels visited, and steps between them           Eq. 1, 4, 9
flow         the same of flow matching
solver       DDIM, and Euler's method; what a solver remembers
multistep    DPM-Solver++ (2M)
consistency  latent consistency models, and the noise they add
sampling     which of these solvers the settings ask for
denoise      the one loop, a generator; classifier-free guidance
shift        stereo pixel shift, SPSMD, deblur                          Eq. 3, 6, 7, 8
attention    uni- and bidirectional self-attention                      Algorithm 1
trajectory   the left's path, recorded and replayed
storage      where the memory of attention is kept
inversion    DDIM and null-text inversion                               Eq. 9, 10
views        the right beside a recorded left, or both together         Fig. 2
backbone     what all this knows of a model
"""
