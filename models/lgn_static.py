"""How LGN subunits respond to pictures that stand still, in closed form: no convolution, frame by frame.

Seen through its Gaussian, such a movie is a staircase for each subunit. Each step of it adds the cumulative temporal
kernel from then on, up to the last tap, after which the response stays.
"""

import numpy as np


def see_pictures(pictures, along_x, along_y):
    """Weigh the pixels of each picture with the Gaussian of each subunit.

    Parameters
    ----------
    pictures : (n_pictures, 80, 120) float32 array
    along_x : (S, 120) array
    along_y : (S, 80) array
        Gaussians at the pixel centres, each with sum 1.

    Returns
    -------
    (n_pictures, S) float32 array
    """
    along_x, along_y = along_x.astype(np.float32), along_y.astype(np.float32)
    return np.stack([np.einsum("sx,sx->s", along_y @ picture, along_x) for picture in pictures])


def still_drives(movie, seen, cumulative):
    """Filter a movie of still pictures in time.

    Parameters
    ----------
    movie : StillPictures
        Gray before its first frame.
    seen : (n_pictures, S) float32 array
        Each picture as each subunit sees it.
    cumulative : (n_taps, S) float32 array [Hz]
        Sum of the temporal kernel up to each tap.

    Yields
    ------
    (S,) float32 array [Hz]
        ``sum_k (seen_k - seen_(k-1)) cumulative[frame - first frame of scene k]`` for each frame, with gray, of which
        nothing is seen, before the first scene.
    """
    first_frame, picture = movie.scenes()
    level = np.vstack([seen, np.zeros_like(seen[:1])])[picture]  # the last row is gray, number -1
    change = np.diff(level, axis=0, prepend=np.zeros_like(level[:1]))
    frames = np.arange(movie.n_frames)
    n_begun = np.searchsorted(first_frame, frames, side="right")
    n_settled = np.searchsorted(first_frame + len(cumulative) - 1, frames, side="right")
    for frame, begun, settled in zip(frames, n_begun, n_settled, strict=True):
        drive = level[settled - 1] * cumulative[-1] if settled else np.zeros_like(cumulative[0])
        for scene in range(settled, begun):
            drive += change[scene] * cumulative[frame - first_frame[scene]]
        yield drive
