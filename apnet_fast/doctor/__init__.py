"""Tell what a bug report needs: versions, processor, GPUs, caches, environment, and whether the engines are right."""
