#!/usr/bin/env python3
"""Records log lines of Debian's haproxy: `record_logs.py > logs.txt`. Loopback only; ends what it starts.

Each block of the output is: `format <log-format>`, then one `line <log line>` per request of REQUESTS.
The lines carry the raw values they were made from behind a `|`, so that a test can build the same facts.
"""
import os, socket, subprocess, sys, tempfile, threading, time

RAW = ("|%ci|%cp|%ft|%b|%s|%TR|%Tw|%Tc|%Tr|%Ta|%ST|%B|%tsc|%ac|%fc|%bc|%sc|%rc|%sq|%bq|%Ts|%ms|%rt|%Ti|%Th|%Tt|%Tu|%U|%bi|%bp|%si|%sp"
       "|%fi|%fp|%[capture.req.method]|%HV|%Td|%Tq|%pid|%lc|%H|")
FORMATS = [
    '%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r',
    '%{+Q}o %{-Q}ci - - [%trg] %r %ST %B \\"\\" \\"\\" %cp %ms %ft %b %s %TR %Tw %Tc %Tr %Ta %tsc %ac %fc %bc %sc %rc %sq %bq %CC %CS %hrl %hsl',
    '%ci:%cp [%t] %ft %b/%s %Tw/%Tc/%Tt %B %ts %ac/%fc/%bc/%sc/%rc %sq/%bq',
    '%T %Tl %trg %trl %t %tr %Ts %ms',
    '%{+X}o %ci %cp %fi %fp %si %sp %bi %bp %Ts %rt %pid %ms %ST %B %TR %rc %lc',
    '%HM %HU %HP %HPO %HQ %HV %r',
    '%{+Q}HM %{+Q}HU %{+Q}HP %{+Q}HPO %{+Q}HQ %{+Q}HV',
    '%{+E}HU %{+E,+Q}r %{+E}hr %{+Q,+E}hs %{+E}hrl %{+Q}hr %{+Q}hs %{-Q}hrl %{+Q}hrl',
    '%ID %{+Q}ID %{+Q}CC %{+Q}CS %CC %CS %sslv %sslc %{+Q}sslv %{+Q}s %{+Q}ST %{+Q}TR %{+Q}t %{+Q}tsc %{+Q}ci %{+Q}f',
    '%% %ci %%ci 100%% a%%b',
    '%[capture.req.uri] %[capture.req.hdr(2)] %{+Q}[capture.req.uri] %{+Q}[capture.req.hdr(2)] %{+X}[int(255)] %{+E}[var(txn.q)] %{+Q,+E}[var(txn.q)] %[var(txn.q)] %[int(5)] %[bool(1)] %[src] %[bin(00ff41)] %{+X}[bin(00ff41)] %{+Q}[int(7)] %{+Q}[src] %{+X}[src]',
    '%{+Q}o %[capture.req.uri] %[capture.req.hdr(2)] %{-Q}[capture.req.uri] x"y"z  two  spaces',
    '%ac%fc %b%s-%f/%ft',
    '%{+E}o [sd@1 u=%HU h=%[capture.req.hdr(0)]]',
    '%[capture.req.hdr(0)] %[capture.res.hdr(0)] %[capture.req.uri] %[capture.req.ver] %[capture.res.ver]',
]
REQUESTS = [
    b'GET / HTTP/1.1\r\nHost: a.b\r\n\r\n',
    b'GET /x?y=1&z="q" HTTP/1.0\r\nUser-Agent: cu"rl\\]/1\r\nReferer: r\r\nX: h]"\\x\r\nCookie: SID=abc12345678901234567890\r\n\r\n',
    b'POST http://h.example:80/p/q?r HTTP/1.1\r\nHost: h.example:80\r\nContent-Length: 3\r\n\r\nabc',
    b'GET /deny HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /nosrv HTTP/1.1\r\nHost: a\r\n\r\n',
    b'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n',
    b'GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\nUser-Agent: \xff\x01\tz|{}\r\n\r\n',
    b'junk\r\n\r\n',
    b'GET /bad url HTTP/1.1\r\n\r\n',
]

def backend(server):
    while True:
        try: conn, _ = server.accept()
        except OSError: return
        conn.settimeout(2)
        data = b''
        try:
            while b'\r\n\r\n' not in data: data += conn.recv(4096) or b'\r\n\r\n'
            time.sleep(0.012)
            conn.sendall(b'HTTP/1.1 200 OK\r\nServer: s"1]\r\nSet-Cookie: SID=xyz; path=/\r\nContent-Length: 5\r\n\r\nhello')
            conn.close()
        except OSError: pass

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def main():
    os.environ['TZ'] = 'UTC'
    log = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); log.bind(('127.0.0.1', 0)); log.settimeout(3)
    server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(); port_s = server.getsockname()[1]
    threading.Thread(target=backend, args=(server,), daemon=True).start()
    for format in FORMATS:
        port = free_port()
        with tempfile.NamedTemporaryFile('w', suffix='.cfg') as f:
            f.write(f'''global
  log 127.0.0.1:{log.getsockname()[1]} len 8192 format raw local0
defaults
  mode http
  timeout connect 1s
  timeout client 2s
  timeout server 2s
frontend front
  bind 127.0.0.1:{port}
  log global
  unique-id-format %{{+X}}o%ci-%rt
  capture request header User-Agent len 20
  capture request header Referer len 20
  capture request header Nope len 20
  capture response header Server len 20
  capture cookie SID len 15
  http-request set-var(txn.q) "str('a b]d')"
  http-request deny if {{ path /deny }}
  use_backend none if {{ path /nosrv }}
  default_backend app
  log-format "{(format + RAW).replace('"', chr(92) + '"').replace(chr(92)*2 + '"', chr(92) + '"')}"
backend app
  server a 127.0.0.1:{port_s}
backend none
  balance roundrobin
''')
            f.flush()
            proxy = subprocess.Popen(['haproxy', '-db', '-f', f.name])
            try:
                for _ in range(50):
                    try: socket.create_connection(('127.0.0.1', port)).close(); break
                    except OSError: time.sleep(0.1)
                time.sleep(0.05)
                log.setblocking(False)
                try:
                    while True: log.recv(9000)
                except BlockingIOError: pass
                log.settimeout(4)
                sys.stdout.buffer.write(b'format ' + format.encode() + b'\n')
                for request in REQUESTS:
                    client = socket.create_connection(('127.0.0.1', port)); client.settimeout(3)
                    client.sendall(request)
                    data = b''
                    try:
                        while b'hello' not in data:
                            part = client.recv(4096)
                            if not part: break
                            data += part
                            if b'</html>' in data: break
                    except OSError: pass
                    client.close()
                    try: line = log.recv(9000)
                    except OSError: line = b'(none)'
                    host = b'|' + socket.gethostname().split('.')[0].encode()
                    line = line.replace(host + b'|', b'|machine|').replace(b'|"' + host[1:] + b'"|', b'|"machine"|')
                    sys.stdout.buffer.write(b'line ' + line.rstrip(b'\n') + b'\n')
            finally:
                proxy.terminate(); proxy.wait()

main()
