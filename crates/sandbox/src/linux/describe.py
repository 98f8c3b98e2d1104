# Prints the interpreter itself and the folders of its libraries, each ended by a zero byte.
import os
import sys

folders = [path for path in sys.path if path]
for prefix in (sys.base_prefix, sys.base_exec_prefix):
    folders += [os.path.join(prefix, name) for name in ("lib", "lib64")]
interpreter = getattr(sys, "_base_executable", None) or sys.executable
found = [os.path.realpath(interpreter)]
found += sorted({os.path.realpath(path) for path in folders if os.path.exists(path)})
sys.stdout.buffer.write(b"".join(os.fsencode(path) + b"\0" for path in found))
