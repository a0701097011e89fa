# The image that `cnnlib grade --isolation docker` (or podman) starts once a student. It holds what student code may
# import and nothing else: the grading part of the package is mounted, read-only, when a container starts.
FROM python:3.12-slim
RUN pip install --no-cache-dir torch numpy ipython safetensors
