"""Bytes of files over HTTP, by signed URLs: images and thumbnails to browsers, staged uploads from clients.

serving         who may follow a signed URL; ranges and streams
exports         files of exports, for scripts
images          images and thumbnails of signed URLs    thumbnails  made once, few at a time
staged_uploads  the PUT of files that were requested    disk_cache  the folder that caches thumbnails
open_files      what is being sent of it, open once for all who read it
"""
