import pytest

from twincortex.models import toolchain


@pytest.fixture
def machine(monkeypatch):
    """A machine that has every tool but those named."""

    def lack(*names):
        for name in ("find_compiler", "find_nvcc", "find_curand"):
            monkeypatch.setattr(toolchain, name, lambda name=name: None if name in names else "/usr")
        monkeypatch.setattr(toolchain.shutil, "which", lambda name: None if name in names else f"/usr/bin/{name}")

    return lack


@pytest.mark.parametrize(
    ("name", "for_cpp", "for_cuda"),
    [
        ("nothing", "", ""),
        ("find_compiler", "a C++ compiler (Debian, Ubuntu: apt install g++", "a C++ compiler"),
        ("make", "make (Debian, Ubuntu: apt install make", "make"),
        ("find_nvcc", "", "nvcc (the CUDA toolkit; or set CUDA_HOME)"),
        ("find_curand", "", "cuRAND (pip install nvidia-curand)"),
    ],
)
def test_what_is_missing_is_named_with_where_to_get_it(machine, name, for_cpp, for_cuda):
    machine(name)
    for found, expected in ((toolchain.missing_tools(), for_cpp), (toolchain.missing_tools(cuda=True), for_cuda)):
        assert len(found) == bool(expected)
        assert "".join(found).startswith(expected)
