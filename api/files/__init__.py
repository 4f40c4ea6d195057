"""Bytes of files over HTTP, by signed URLs: images and thumbnails to browsers, staged uploads from clients."""
