"""An interpreter for Ansible's modules: has them run where much of what they import is imported (`lab.warm_server`).

`lab.warm` puts it beside the server's socket, with a first line that names Python itself, which runs all that does not
come on standard input. It imports next to nothing, since what it takes is added to each module.
"""

import _socket
import marshal
import os
import sys

if sys.argv[1:]:
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
connection.connect(__file__.removesuffix(".python"))
streams = b"".join(number.to_bytes(4, sys.byteorder) for number in (0, 1, 2))
connection.sendmsg([b"-"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, streams)])
connection.sendall(marshal.dumps(([], dict(os.environ), os.getcwd())))
answer = connection.recv(16)
code = marshal.loads(answer) if answer else 1
sys.exit(code if code >= 0 else 128 - code)
