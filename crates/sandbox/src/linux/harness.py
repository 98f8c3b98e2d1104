# Runs a confined program, and tells on the pipe that was stdout that it has begun and come to its
# end. The input is a secret, a line, and the program.
import os
import sys


def harness(write=os.write, leave=os._exit):
    os.closerange(3, 1 << 20)
    with open(0, "rb") as file:
        secret, _, program = file.read().partition(b"\n")
    os.open(os.devnull, os.O_RDWR)
    report = os.dup(1)
    os.dup2(0, 1)
    main = type(sys)("__main__")
    sys.modules["__main__"] = main
    sys.argv = ["program.py"]
    write(report, b"begun\n")
    exec(compile(program, "program.py", "exec"), main.__dict__)
    write(report, secret)
    leave(0)


harness()
