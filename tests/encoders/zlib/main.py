"""Compresses by Python's zlib: the requests and answers of ../go/main.go."""

import gzip
import struct
import sys

REQUEST = struct.Struct("<bII")
while head := sys.stdin.buffer.read(REQUEST.size):
    level, _, length = REQUEST.unpack(head)
    made = gzip.compress(sys.stdin.buffer.read(length), level, mtime=0)
    sys.stdout.buffer.write(struct.pack("<I", len(made)) + made)
    sys.stdout.buffer.flush()
