"""Rows for tests."""

from stereodiffusion.bench.results import DisparitySource, Job, Protocol, Row


def row(
    method: str = "stretch",
    scene: str = "a",
    *,
    dataset: str = "middlebury",
    protocol: Protocol = "paper",
    disparity: DisparitySource = "truth",
    settings: dict[str, object] | None = None,
    facts: dict[str, float] | None = None,
    seconds: float = 1.0,
    evaluations: int = 0,
    peak_memory_mb: float = 500.0,
    **metrics: float,
) -> Row:
    """A row of one scene."""
    return Row(
        job=Job(
            dataset=dataset,
            scene=scene,
            protocol=protocol,
            disparity=disparity,
            method=method,
            settings={"size": "512"} | (settings or {}),
        ),
        metrics=metrics or {"psnr": 20.0, "ssim": 0.5},
        facts=facts or {},
        seconds=seconds,
        evaluations=evaluations,
        peak_memory_mb=peak_memory_mb,
        versions={},
    )
