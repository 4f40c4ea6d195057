"""Bytes of files over HTTP, by signed URLs: images and thumbnails to browsers, staged uploads from clients.

images          images and thumbnails of signed URLs    thumbnails  made once, few at a time
staged_uploads  the PUT of files that were requested    disk_cache  the folder that caches thumbnails
"""
