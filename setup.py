# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (ROOT / "paddletsm/version.py").read_text())[1]

# Paddle comes as an extra: the CPU and the GPU build are two packages that exclude each other.
# opencv-python-headless is opencv-python without windows; it needs no system libraries.
setup(
    name="paddletsm",
    version=VERSION,
    description="Action recognition with the Temporal Shift Module in PaddlePaddle",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    # A plain path in site-packages: an editable install must win over a folder of the same name.
    package_dir={"": "."},
    packages=find_packages(include=["paddletsm", "paddletsm.*"]),
    install_requires=[
        "numpy>=1.24,<3",
        "opencv-python-headless>=4.8,<6",
        "decord>=0.6; platform_machine != 'arm64' and platform_machine != 'aarch64'",
        "pyyaml>=6",
        "matplotlib>=3.7,<4",
        "tqdm>=4.65,<5",
    ],
    extras_require={
        # 2.6.2 was built against NumPy 1 and needs setuptools at run time.
        "cpu": [
            "paddlepaddle>=2.6.2,<4",
            "setuptools",
        ],
        "gpu": [
            "paddlepaddle-gpu>=2.6.2,<4",
            "setuptools",
        ],
        "convert": ["torch>=2.6", "safetensors>=0.4"],
        "tensorboard": ["tensorboardX>=2.6.2"],
        "visualdl": ["visualdl>=2.5.3"],
        # Chromium for the tests that look at the pages; some 300 MB, hence not in dev.
        "browser": ["PySide6>=6.7"],
        # Decodes faster than decord, and is used where it is installed; the two are never imported
        # by one process. Versions that are used unasked: PYAV_VERSIONS in data/backends.py.
        "av": ["av>=14.2,<20"],
        # Export to ONNX and int8, and the engine onnxruntime.
        "onnx": ["onnx>=1.16,<2", "onnxruntime>=1.18,<2"],
        "openvino": ["openvino>=2024.4"],
        "dev": [
            "pytest>=8",
            "pytest-xdist>=3.5",
            "hypothesis>=6",
            "ruff>=0.6",
            "av>=14.2,<20",
            "onnx>=1.16,<2",
            "onnxruntime>=1.18,<2",
            "openvino>=2024.4",
        ],
    },
    entry_points={"console_scripts": ["paddletsm=paddletsm.cli.entry:main"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
