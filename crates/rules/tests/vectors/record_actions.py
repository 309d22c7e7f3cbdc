#!/usr/bin/env python3
"""Records again what haproxy does with the rules of a vector file: `record_actions.py replies|edits|uris|lines`.

The rules are read from the existing file, so that a new one is recorded by adding its `rule` line there. Loopback
only; ends what it starts. Prints the new file.
"""
import os, re, socket, subprocess, sys, tempfile, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
DEFAULTS = '''global
 expose-experimental-directives
http-errors eee
 errorfile 403 err.http
resolvers dns
 nameserver a 127.0.0.1:53
cache c
 total-max-size 4
defaults
 mode http
 timeout connect 100ms
 timeout client 2s
 timeout server 2s
 timeout tarpit 50ms
backend app
 stick-table type ip size 1k store gpc0,gpc1,gpt0,http_req_cnt
 {app}
{kind} front
 bind 127.0.0.1:{port}
 {front}
'''
FILES = {'err.http': 'HTTP/1.1 418 Teapot\r\nX-Y: z\r\nContent-Type: text/html\r\n\r\n<b>hi</b>\n', 'body.txt': 'file body %[path]\n',
         'l.acl': '', 'l.map': ''}
REQUESTS = [
    b'GET /p/q?a=1&b=2 HTTP/1.1\r\nHost: www.t.local:8080\r\n\r\n', b'HEAD /p/q?a=1 HTTP/1.1\r\nHost: h\r\n\r\n',
    b'GET /nq HTTP/1.0\r\n\r\n', b'POST http://abs.h:81/x HTTP/1.1\r\nHost: abs.h:81\r\nContent-Length: 0\r\n\r\n',
    b'GET /dir/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nCookie: C=1\r\n\r\n', b'OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n',
]
EDITED = (b'GET /p/a%20b/q?x=1&y=2 HTTP/1.1\r\nHost: www.h:80\r\nX-A: one, two;q=1,three\r\nx-b: hello world\r\nX-A: four\r\n'
          b'Cookie: u=1; foo=bar; z=2\r\nX-Empty: \r\n\r\n')
ECHO = 'http-request return status 200 hdr x-got "%[method] %[url]"'

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); return s.getsockname()[1]

def config(port, front='', app='', kind='frontend'):
    return DEFAULTS.format(port=port, front=front, app=app, kind=kind)

class Proxy:
    """haproxy on a configuration; `errors` when it does not start."""
    def __init__(self, front, app, check_only=False, kind='frontend'):
        self.port = free_port()
        with open('test.cfg', 'w') as f: f.write(config(self.port, front, app, kind))
        flags = ['-c', '-q'] if check_only else ['-db']
        self.process = subprocess.Popen(['haproxy', *flags, '-f', 'test.cfg'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for _ in range(0 if check_only else 60):
            if self.process.poll() is not None: break
            try: socket.create_connection(('127.0.0.1', self.port)).close(); break
            except OSError: time.sleep(0.03)
    def ask(self, request, marks_end):
        data = b''
        with socket.create_connection(('127.0.0.1', self.port)) as c:
            c.settimeout(0.4); c.sendall(request)
            try:
                while True:
                    part = c.recv(4096)
                    if not part: data += b'<EOF>' if marks_end else b''; break
                    data += part
            except OSError: pass
        return data
    def stop(self):
        if self.process.poll() is None: self.process.terminate()
        errors = self.process.communicate()[1].decode()
        return [l.split("' rule : ")[-1] for l in errors.splitlines() if 'parsing' in l.lower() and ('ALERT' in l or 'WARN' in l)]

def rules(name):
    """The `rule` lines of a file, each with the numbers of the requests that were recorded."""
    found = []
    for line in open(os.path.join(HERE, name)):
        if line.startswith('rule '): found.append((line[5:].rstrip('\n'), []))
        elif (m := re.match(r'  (\d) ', line)): found[-1][1].append(int(m[1]))
    return found

def replies():
    for rule, requests in rules('replies.txt'):
        proxy = Proxy(rule + '\n default_backend app', ECHO)
        print('rule', rule)
        for number in requests: print(' ', number, repr(proxy.ask(REQUESTS[number], True))[1:])
        for error in proxy.stop(): print('  !', error)

def edits():
    server = socket.socket(); server.bind(('127.0.0.1', 0)); server.listen(); seen = []
    def answer():
        while True:
            c, _ = server.accept(); data = b''
            while b'\r\n\r\n' not in data: data += c.recv(4096) or b'\r\n\r\n'
            seen.append(data)
            c.sendall(b'HTTP/1.1 200 OK\r\nServer: nx\r\nX-R: a, b,c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\n'
                      b'Content-Length: 0\r\nConnection: close\r\n\r\n'); c.close()
    threading.Thread(target=answer, daemon=True).start()
    for rule, _ in rules('edits.txt'):
        proxy = Proxy(rule + '\n default_backend app', f'http-reuse never\n server a 127.0.0.1:{server.getsockname()[1]}')
        print('rule', rule); seen.clear()
        if proxy.process.poll() is None:
            reply = proxy.ask(EDITED, False)
            print('  ', repr(seen[0])[1:] if 'http-request' in rule and seen else repr(reply)[1:])
        for error in proxy.stop(): print('  !', error)

def uris():
    recorded = open(os.path.join(HERE, 'normalized_uris.txt')).read().splitlines()
    proxy = None
    for line in recorded:
        if line.startswith('normalizer '):
            if proxy: proxy.stop()
            proxy = Proxy(f'option accept-invalid-http-request\n http-request normalize-uri {line[11:]}\n default_backend app', ECHO)
            print(line); continue
        uri = line.split(' => ')[0]
        reply = proxy.ask(f'GET {uri} HTTP/1.1\r\nHost: h\r\n\r\n'.encode(), False).decode('latin1')
        got = re.search('x-got: GET (.*)\r\n', reply)
        print(uri, '=>', got[1] if got else 'status ' + reply[9:12])
    if proxy: proxy.stop()

def lines():
    for line in open(os.path.join(HERE, 'rule_lines.txt')):
        rule = line.rstrip('\n').split(' ', 1)[1]
        captures = 'declare capture request len 10\n declare capture response len 10\n stick-table type ip size 1k store gpc0'
        proxy = Proxy(f'{captures}\n {rule}', '', check_only=True, kind='listen' if rule.startswith('tcp-response') else 'frontend')
        proxy.process.wait(); proxy.stop()
        print('ok' if proxy.process.returncode == 0 else 'bad', rule)

if __name__ == '__main__':
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for name, text in FILES.items():
            with open(name, 'w', newline='') as f: f.write(text)
        {'replies': replies, 'edits': edits, 'uris': uris, 'lines': lines}[sys.argv[1]]()
