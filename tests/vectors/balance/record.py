#!/usr/bin/env python3
"""Records where the real haproxy places requests, for the tests of the crate `balance`. See README.md.

Everything runs on UNIX sockets in a temporary directory: the haproxy under test, and its servers, which answer with
their own name. Client addresses come in by the PROXY protocol.
"""

import asyncio
import os
import random
import sys
import tempfile
import time

HAPROXY = os.environ.get("HAPROXY", "/usr/sbin/haproxy")
HERE = os.path.dirname(os.path.abspath(__file__))
FUNCTIONS = ["sdbm", "djb2", "wt6", "crc32"]
METHODS = ["map-based", "consistent"]
NAMES = "abcdefghij"
# Processes to end, whatever happens.
RUNNING = []

HEADER = """# Recorded by record.py from {version}; do not edit.
"""


def escape(data: bytes) -> str:
    out = []
    for byte in data:
        if byte == 0x5C:
            out.append("\\\\")
        elif 0x20 <= byte < 0x7F:
            out.append(chr(byte))
        else:
            out.append("\\x%02x" % byte)
    return "".join(out)


class Servers:
    """Servers that answer with their name; requests for /hold wait until they are released."""

    def __init__(self, directory):
        self.directory = directory
        self.held = {name: [] for name in NAMES}
        self.arrived = asyncio.Condition()
        self.running = []

    def path(self, name):
        return f"{self.directory}/server-{name}"

    async def start(self):
        for name in NAMES:
            handler = lambda r, w, name=name: self.serve(name, r, w)
            self.running.append(await asyncio.start_unix_server(handler, self.path(name)))

    async def serve(self, name, reader, writer):
        try:
            first = await reader.read(1)
            while first:
                if first == b"\x03":
                    writer.write(name.encode())
                    break
                head = first + await reader.readuntil(b"\r\n\r\n")
                length = 0
                for line in head.split(b"\r\n"):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                if length:
                    await reader.readexactly(length)
                if head.split(b" ")[1] == b"/hold":
                    release = asyncio.Event()
                    self.held[name].append(release)
                    async with self.arrived:
                        self.arrived.notify_all()
                    await release.wait()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode())
                await writer.drain()
                first = await reader.read(1)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def held_total(self):
        return sum(len(waiting) for waiting in self.held.values())


class Haproxy:
    """One haproxy process; its listeners are UNIX sockets called after the proxy."""

    def __init__(self, directory, name, config):
        self.directory = directory
        self.config_path = f"{directory}/{name}.cfg"
        self.cli_path = f"{directory}/{name}.cli"
        with open(self.config_path, "w") as file:
            file.write(
                f"global\n  nbthread 1\n  maxconn 2000\n  stats socket {self.cli_path} level admin\n"
                "  stats timeout 1h\n"
                "defaults\n  mode http\n  timeout client 1h\n  timeout server 1h\n  timeout connect 200ms\n"
                "  timeout queue 1s\n" + config
            )

    async def start(self):
        self.process = await asyncio.create_subprocess_exec(
            HAPROXY, "-q", "-db", "-f", self.config_path, stderr=sys.stderr, stdout=sys.stderr
        )
        RUNNING.append(self.process)
        for _ in range(500):
            await asyncio.sleep(0.01)
            if os.path.exists(self.cli_path) or self.process.returncode is not None:
                break
        self.cli_reader, self.cli_writer = await asyncio.open_unix_connection(self.cli_path)
        self.cli_writer.write(b"prompt\n")
        await self.cli_reader.readuntil(b"> ")

    async def command(self, line):
        self.cli_writer.write(line.encode() + b"\n")
        return (await self.cli_reader.readuntil(b"> "))[:-2].decode().strip()

    async def stop(self):
        RUNNING.remove(self.process)
        self.cli_writer.close()
        self.process.terminate()
        await self.process.wait()


def socket_of(directory, proxy):
    return f"{directory}/{proxy}"


async def read_answer(reader):
    """The name of the server, or `!` when haproxy itself answered."""
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        return "!"
    return (await reader.readexactly(1)).decode()


# ---------------------------------------------------------------- placements

SERVER_SETS = {
    "uneven": [("a", 1, 1), ("b", 2, 3), ("c", 7, 2), ("d", 4, 10), ("e", 100, 5), ("f", 6, 0), ("g", 3, 4)],
    "even": [("a", 1, 1), ("b", 2, 1), ("c", 3, 1), ("d", 4, 1), ("e", 5, 1)],
    "divided": [("a", 1, 40), ("b", 2, 20), ("c", 3, 60)],
}


def http_request(target, headers=b"", method=b"GET", body=b""):
    if method == b"POST":
        headers += b"Content-Length: %d\r\n" % len(body)
    host = b"host.test"
    if b"://" in target.split(b"?")[0]:
        host = target.split(b"://")[1].split(b"/")[0].split(b"?")[0]
    if b"\r\nhost:" not in (b"\r\n" + headers).lower():
        headers = b"Host: " + host + b"\r\n" + headers
    return method + b" " + target + b" HTTP/1.1\r\n" + headers + b"\r\n" + body


def words(rng, count):
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFXYZ0123456789-_.~%"
    return ["".join(rng.choice(letters) for _ in range(rng.randint(1, 24))) for _ in range(count)]


def uri_keys(rng):
    keys = [
        "/", "//", "/a", "/a/", "/a/b", "/a/b/", "/a/b/c", "/a/b/c/d?e/f", "/a?x=1", "/a?x=2", "/a/?x=1", "/?", "/?x",
        "/??", "/a?b?c", "http://h.test/a/b", "http://h.test/", "http://h.test",
        "https://h.test:8443/a/b/c?d", "http://h.test//a", "*", "/longer/path/with/some/directories/index.html",
        "/longer/path/with/some/directories/index.html?user=4711&token=abcdef", "/%C3%A4/%2F/x", "/a;b=c/d",
    ]
    for _ in range(50):
        path = "/" + "/".join(words(rng, rng.randint(1, 5)))
        keys.append(path + ("?q=" + words(rng, 1)[0] if rng.random() < 0.5 else ""))
    return [key.encode() for key in keys]


def param_keys(rng):
    keys = [
        "/?id=1", "/?x=1&id=2", "/?id=", "/?id=&x=2", "/?idx=1&id=3", "/?id", "/no", "/no?", "/?ID=3", "/?a?id=4",
        "/?id=a&id=b", "/?id=%41", "/?&&id=5", "/?aid=3", "/?aid=3&id=7", "/?id==8", "/?id=9?x", "/id=3?x=4", "/?=1",
        "/?id=a/b", "/?x&id=1", "/?d=1&id=22&d", "http://h.test/?id=1", "/?id=1;x=2", "/a?b=1&i=2", "/?id&id=1",
    ]
    keys += ["/p?session=9&id=" + word for word in words(rng, 60)]
    return [key.encode() for key in keys]


def body_keys(rng):
    keys = [
        "id=1", "x=1&id=2", "id=", "id=&x=2", "idx=1&id=3", "id", "", "ID=3", "id=a&id=b", "id=%41", "&&id=5", "aid=3",
        "id==8", "id=9 x", "id= 9", "id=\t9", "id=\r\n", "id=1\r\n", "id=/x", "id=(x", "id=a/b(c", "id=\x01", "id=a\x01b",
        'id="q"', "id=?x", "{id=1}", "id=[1]", "id=a,b", "id=@", "id=a@b", "id=\x7f", "id=:1",
    ]
    keys += ["session=9&id=" + word for word in words(rng, 40)]
    return [key.encode() for key in keys] + [b"id=\xc3\xa4", b"id=a\xc3\xa4"]


def header_keys(rng):
    keys = [
        "haproxy.1wt.eu", "www.example.com", "example.com", "localhost", "a.b.c.d:80", ".com", "com.", "a..b", ".", "..",
        "...", "a.", ".a.", "x.y.", "www.example.co.uk", "10.0.0.1", "10.0.0.1:8080", "[::1]:80", "", " ", "one, two",
        "one,two", " one ,two", ",two", ", ,two", '"a,b",c', '"a\\",b",c', "a;q=1,b", "Mozilla/5.0 (X11, Linux) x/1.0",
        "id=1; session=2", "a b  c", "\ttab", "a.b,c.d", "app.internal,www.example.com", '"open,quote', "a\\,b",
        "a,", ",", ",,",
    ]
    keys += words(rng, 30) + [f"{a}.{b}.test" for a, b in zip(words(rng, 15), words(rng, 15))]
    return [key.encode() for key in keys]


def address_keys(rng):
    keys = ["127.0.0.1", "0.0.0.0", "255.255.255.255", "10.0.0.1", "10.0.0.2", "10.0.1.1", "192.168.7.101", "1.2.3.4"]
    keys += [".".join(str(rng.randint(0, 255)) for _ in range(4)) for _ in range(60)]
    keys += [f"127.0.0.{i}" for i in range(2, 40)]
    keys += ["::1", "::", "2001:db8::1", "2001:db8:0:0:1::2", "::ffff:10.0.0.1", "fe80::1234:5678:9abc:def0"]
    keys += [":".join("%x" % rng.randint(0, 65535) for _ in range(8)) for _ in range(60)]
    return [key.encode() for key in keys]


def rdp_keys(rng):
    lines = [
        b"Cookie: mstshash=user\r\n", b"Cookie: mstshash=\r\n", b"Cookie:mstshash=user2\r\n",
        b"Cookie:   mstshash=user3\r\n", b"cookie: MSTSHASH=user4\r\n", b"Cookie: msts=3640205228.15629.0000\r\n",
        b"Cookie: other=1\r\n", b"Cookie: mstshash=a b=c\r\nmore\r\n",
        b"Cookie: mstshashx=1\r\n", b"Cookie: mstshash=DOM\\user\r\n", b"Cookie: mstshas=1\r\n",
    ]
    lines += [b"Cookie: mstshash=" + word.encode() + b"\r\n" for word in words(rng, 50)]
    keys = []
    for line in lines:
        negotiation = b"\x01\x00\x08\x00\x03\x00\x00\x00"
        length = 11 + len(line) + len(negotiation)
        keys.append(b"\x03\x00" + length.to_bytes(2, "big") + bytes([length - 5]) + b"\xe0\0\0\0\0\0" + line + negotiation)
    return keys


def header_request(key):
    # haproxy looks one byte beyond the value for a dot (`use_domain_only`): have something there that is none.
    return http_request(b"/", b"X-Key: " + key + b"\r\nX-Next: 1\r\n")


def target_request(key):
    return http_request(key, method=b"OPTIONS" if key == b"*" else b"GET")


def proxied_request(key):
    family, destination = (b"TCP6", b"::1") if b":" in key else (b"TCP4", b"127.0.0.1")
    return b"PROXY " + family + b" " + key + b" " + destination + b" 1000 80\r\n" + http_request(b"/")


# file, keys, how a key becomes a request, arguments of `balance`
KINDS = [
    ("uri", uri_keys, target_request, [
        "uri", "uri whole", "uri len 9", "uri depth 1", "uri depth 2", "uri depth 3", "uri len 14 depth 2",
        "uri whole len 12", "uri whole depth 3", "uri path-only", "uri path-only depth 2 whole"]),
    ("url_param", param_keys, target_request, ["url_param id"]),
    ("url_param_body", body_keys, lambda key: http_request(b"/?x=1", method=b"POST", body=key), ["url_param id check_post"]),
    ("hdr", header_keys, header_request, ["hdr(x-key)", "hdr(X-Key) use_domain_only"]),
    ("source", address_keys, proxied_request, ["source", "hash src"]),
    ("rdp-cookie", rdp_keys, lambda key: key, ["rdp-cookie", "rdp-cookie(msts)"]),
    ("hash", header_keys, header_request, ["hash req.fhdr(x-key)", "hash req.fhdr(x-key),length", "hash req.fhdr(x-key),length,bool"]),
]


def is_per_connection(kind):
    return kind in ("source", "rdp-cookie")


def placement_proxy(directory, servers, name, kind, balance, hash_type, server_set):
    lines = [f"listen {name}"]
    accept = " accept-proxy" if kind == "source" else ""
    lines.append(f"  bind unix@{socket_of(directory, name)}{accept}")
    if kind == "rdp-cookie":
        lines += ["  mode tcp", "  tcp-request inspect-delay 1s", "  tcp-request content accept if { req.len gt 15 }"]
    if "check_post" in balance:
        lines.append("  option http-buffer-request")
    lines += [f"  balance {balance}", f"  hash-type {hash_type}"]
    for server, ident, weight in SERVER_SETS[server_set]:
        lines.append(f"  server {server} unix@{servers.path(server)} id {ident} weight {weight}")
    return "\n".join(lines) + "\n"


async def place(directory, proxy, kind, keys, request):
    answers = []
    connection = None
    for key in keys:
        if connection is None or is_per_connection(kind):
            connection = await asyncio.open_unix_connection(socket_of(directory, proxy))
        reader, writer = connection
        writer.write(request(key))
        if kind == "rdp-cookie":
            answers.append((await reader.read(1)).decode() or "!")
        else:
            answers.append(await read_answer(reader))
        if answers[-1] == "!":
            connection = None
            writer.close()
        if is_per_connection(kind):
            writer.close()
    return "".join(answers)


async def record_placements(directory, servers, version):
    for kind, make_keys, request, balances in KINDS:
        keys = make_keys(random.Random(kind))
        cases, config = [], ""
        for balance in balances:
            # The many options of `uri` differ in what is cut, not in where it leads: one set is enough.
            for server_set in SERVER_SETS if len(balances) <= 3 else ["uneven"]:
                for method in METHODS:
                    functions = FUNCTIONS if balance != "source" else ["sdbm", "wt6"]
                    for function in functions:
                        for modifier in ["", " avalanche"]:
                            hash_type = f"{method} {function}{modifier}"
                            name = f"{kind}-{len(cases)}"
                            cases.append((name, balance, server_set, hash_type))
                            config += placement_proxy(directory, servers, name, kind, balance, hash_type, server_set)
        haproxy = Haproxy(directory, kind, config)
        await haproxy.start()
        with open(f"{HERE}/{kind}.txt", "w") as file:
            file.write(HEADER.format(version=version))
            for set_name, members in SERVER_SETS.items():
                file.write(f"servers {set_name} " + " ".join("%s:%d:%d" % member for member in members) + "\n")
            for key in keys:
                file.write(f"key {escape(key)}|\n")
            for name, balance, server_set, hash_type in cases:
                answers = await place(directory, name, kind, keys, request)
                file.write(f"case {balance} | {server_set} | {hash_type} | {answers}\n")
        await haproxy.stop()
        print(kind, len(cases), "cases of", len(keys), "keys", file=sys.stderr)


# ---------------------------------------------------------------- sequences


class Scenario:
    """A backend, and what happens to it; `steps` are lines of the vector file without their results."""

    def __init__(self, title, balance, servers, steps, options=()):
        self.title, self.balance, self.servers, self.steps, self.options = title, balance, servers, steps, options

    def config(self, directory, servers, name):
        lines = [f"listen {name}", f"  bind unix@{socket_of(directory, name)}", "  option http-server-close"]
        lines += ["  http-reuse never", "  retries 3", "  option redispatch 1"]
        lines += [f"  balance {self.balance}"] + ["  " + option for option in self.options]
        for line in self.servers:
            server, *words = line.split()
            path = servers.path(server) + ("-none" if "refuses" in words else "")
            words = [word for word in words if word != "refuses"]
            lines.append(f"  server {server} unix@{path} " + " ".join(words))
        return "\n".join(lines) + "\n"


class Player:
    def __init__(self, directory, servers, haproxy, proxy):
        self.directory, self.servers, self.haproxy, self.proxy = directory, servers, haproxy, proxy
        self.holders = {name: [] for name in NAMES}

    async def settle(self):
        # One thread serves both: the answer comes after what was ready before it.
        await self.haproxy.command("get weight %s/a" % self.proxy)
        await self.haproxy.command("get weight %s/a" % self.proxy)

    async def pick(self, key=None):
        reader, writer = await asyncio.open_unix_connection(socket_of(self.directory, self.proxy))
        headers = b"Connection: close\r\n" + (b"X-Key: %s\r\n" % key.encode() if key else b"")
        writer.write(http_request(b"/?id=%s" % key.encode() if key else b"/", headers))
        try:
            answer = await read_answer(reader)
            await reader.read()
        except asyncio.IncompleteReadError:
            answer = "!"
        writer.close()
        await self.settle()
        return answer

    async def hold(self, key=None):
        counts = {name: len(waiting) for name, waiting in self.servers.held.items()}
        reader, writer = await asyncio.open_unix_connection(socket_of(self.directory, self.proxy))
        headers = b"Connection: close\r\n" + (b"X-Key: %s\r\n" % key.encode() if key else b"")
        writer.write(http_request(b"/hold", headers))
        async with self.servers.arrived:
            arrived = lambda: self.servers.held_total() > sum(counts.values())
            try:
                await asyncio.wait_for(self.servers.arrived.wait_for(arrived), 5)
            except asyncio.TimeoutError:
                raise SystemExit(f"{self.proxy}: a held request was not served")
        name = next(name for name, waiting in self.servers.held.items() if len(waiting) > counts[name])
        self.holders[name].append((self.servers.held[name][-1], reader, writer))
        await self.settle()
        return name

    async def release(self, name):
        event, reader, writer = self.holders[name].pop(0)
        event.set()
        await reader.read()
        writer.close()
        self.servers.held[name].remove(event)
        await self.settle()

    async def release_all(self):
        for name in NAMES:
            while self.holders[name]:
                await self.release(name)

    async def play(self, step):
        """The line of the vector file for this step: with its result, where it has one."""
        word, *rest = step.split()
        if word in ("pick", "hold"):
            do = self.pick if word == "pick" else self.hold
            answers = [await do() for _ in range(int(rest[0]))]
            return f"{step} {''.join(answers)}"
        if word == "pick-key":
            return f"{step} {''.join([await self.pick(key) for key in rest])}"
        if word == "hold-key":
            return f"{step} {''.join([await self.hold(key) for key in rest])}"
        if word == "hold-key-times":
            return f"{step} {''.join([await self.hold(rest[0]) for _ in range(int(rest[1]))])}"
        if word == "release":
            for name in rest[0]:
                await self.release(name)
            return step
        if word == "add":
            name, *options = rest
            path = self.servers.path(name)
            reply = await self.haproxy.command(f"add server {self.proxy}/{name} unix@{path} {' '.join(options)}")
            if "registered" not in reply:
                raise SystemExit(f"{step}: {reply}")
            return step
        if word == "remove":
            await self.haproxy.command(f"set server {self.proxy}/{rest[0]} state maint")
            reply = await self.haproxy.command(f"del server {self.proxy}/{rest[0]}")
            if "deleted" not in reply:
                raise SystemExit(f"{step}: {reply}")
            return step
        commands = {
            "weight": lambda server, value: f"set server {self.proxy}/{server} weight {value}",
            "down": lambda server: f"set server {self.proxy}/{server} state maint",
            "up": lambda server: f"set server {self.proxy}/{server} state ready",
        }
        reply = await self.haproxy.command(commands[word](*rest))
        if reply:
            if "static" not in reply:
                raise SystemExit(f"{step}: {reply}")
            return f"{step} refused"
        return step


def written_scenarios():
    pick = "pick 40"
    two, three = ["a weight 2", "b weight 1"], ["a weight 5", "b weight 3", "c weight 2"]
    dynamic = ["roundrobin", "leastconn"]
    for balance in ["roundrobin", "static-rr", "leastconn", "first"]:
        yield Scenario("2:1", balance, two, [pick])
        yield Scenario("3:1:1", balance, ["a weight 3", "b weight 1", "c weight 1"], [pick])
        yield Scenario("5:3:2", balance, three, [pick])
        yield Scenario("256:1", balance, ["a weight 256", "b weight 1"], ["pick 600"])
        yield Scenario("equal", balance, ["a", "b", "c", "d", "e"], [pick])
        yield Scenario("weights with a common divisor", balance, ["a weight 40", "b weight 60", "c weight 20"], [pick])
        yield Scenario("weight zero", balance, ["a weight 0", "b weight 2", "c weight 3"], [pick])
        yield Scenario("weight zero and back", balance, three, ["pick 7", "weight b 0", "pick 13", "weight b 3", pick])
        yield Scenario("other weight", balance, three, ["pick 7", "weight b 9", pick, "weight a 1", pick])
        yield Scenario("down and up", balance, three, ["pick 4", "down a", "pick 11", "up a", pick, "down c", "down b", "pick 5", "up b", "up c", pick])
        yield Scenario("all down", balance, two, ["pick 2", "down a", "down b", "pick 1", "up b", "pick 3", "up a", "pick 12"])
        yield Scenario("disabled at start", balance, ["a weight 2", "b weight 3 disabled", "c weight 1"], ["pick 9", "up b", pick])
        backups = ["a weight 2", "b weight 3 backup", "c weight 4 backup", "d weight 1 backup"]
        story = ["pick 3", "down a", "pick 20", "down b", "pick 9", "up b", "pick 9", "weight b 0", "pick 9", "weight b 3", "up a", "pick 3"]
        yield Scenario("first backup only", balance, backups, story)
        yield Scenario("all backups", balance, backups, story, ["option allbackups"])
        yield Scenario("backup declared first", balance, ["a backup", "b weight 2", "c"], ["pick 6", "down b", "down c", "pick 3", "up c", "pick 4"])
        yield Scenario("ids out of order", balance, ["a id 30", "b id 20", "c id 10"], [pick, "down c", "pick 7", "up c", "pick 7"])
        limited = ["a weight 2 maxconn 1", "b weight 1 maxconn 2", "c weight 3 maxconn 3"]
        yield Scenario("full servers", balance, limited, ["pick 6", "hold 3", "pick 9", "hold 2", "pick 6"])
        yield Scenario("redispatch", balance, ["a weight 2", "b weight 2 refuses", "c weight 1"], ["pick 20"])
        yield Scenario("redispatch with two dead", balance, ["a refuses", "b", "c refuses", "d"], ["pick 12"])
    changes = ["pick 4", "add d weight 3 id 4", "pick 6", "up d", "pick 20", "remove b", "pick 20", "add e weight 9 id 2",
               "up e", "pick 30", "add f weight 2 id 5", "up f", "add g weight 2 id 6 backup", "up g", "pick 20", "remove e",
               "down a", "down d", "pick 5", "down c", "down f", "pick 3"]
    shrunk = ["down b", "pick 7", "weight a 0", "weight c 1", "pick 22", "up b", "pick 39", "weight b 2", "down b", "weight a 1",
              "weight a 2", "pick 13"]
    for balance in dynamic:
        yield Scenario("a window overrun", balance, ["a weight 100", "b weight 100", "c weight 5"], shrunk)
        yield Scenario("servers added and removed", balance, three, changes)
        yield Scenario("held requests", balance, three, ["hold 10", "pick 8", "hold 6", "pick 10"])
    keyed = ["hash-type consistent"]
    keys = " ".join(f"k{i}" for i in range(40))
    for hash_type in ["map-based", "consistent", "consistent djb2 avalanche"]:
        options = [f"hash-type {hash_type}"]
        story = [f"pick-key {keys}", "down b", f"pick-key {keys}", "up b", f"pick-key {keys}", "pick 20", "weight a 0",
                 f"pick-key {keys}", "pick 9", "weight a 5", f"pick-key {keys}", "weight c 7", f"pick-key {keys}", "pick 30"]
        yield Scenario("keys and changes", "hdr(x-key)", three, story, options)
        backups = ["a weight 2", "b weight 3 backup", "c weight 4 backup", "d weight 1 backup"]
        story = [f"pick-key {keys}", "down a", f"pick-key {keys}", "pick 9", "down b", f"pick-key {keys}", "up b", f"pick-key {keys}"]
        yield Scenario("keys and first backup", "hdr(x-key)", backups, story, options)
        yield Scenario("keys and all backups", "hdr(x-key)", backups, story, options + ["option allbackups"])
        yield Scenario("keys without servers", "hdr(x-key)", ["a", "b"], ["down a", "down b", "pick-key x", "up b", "pick-key x y"], options)
        limited = ["a weight 2 maxconn 1", "b weight 1 maxconn 2", "c weight 3 maxconn 3"]
        yield Scenario("no key and full servers", "hdr(x-key)", limited, ["pick 6", "hold 3", "pick 9", "hold 2", "pick 6"], options)
        for server in "ab":
            # The ring of two has 32 points: the last one had its turn.
            story = ["pick 32", f"down {server}", f"up {server}", "pick 6"]
            yield Scenario(f"no key and {server} leaves at the end of the ring", "hdr(x-key)", ["a", "b"], story, options)
        limited = ["a maxconn 1", "b maxconn 1", "c maxconn 1"]
        story = ["hold 1", "down a", "up a", "down b", "up b", "down c", "up c", "pick 6"]
        yield Scenario("no key and a full server to begin with", "hdr(x-key)", limited, story, options)
        dead = ["a weight 2", "b weight 2 refuses", "c weight 1", "d refuses"]
        few = " ".join(f"k{i}" for i in range(12))
        yield Scenario("keys and redispatch", "hdr(x-key)", dead, [f"pick-key {few}", "pick 6"], options)
    backups = ["a weight 2", "b weight 3 backup", "c weight 4 backup", "d weight 1 backup"]
    few = " ".join(f"k{i}" for i in range(12))
    story = [f"pick-key {few}", "down a", f"pick-key {few}", "pick 7", f"pick-key {few}", "up a", "pick 7", "weight b 0", "down a", "pick 7"]
    for balance in ["hdr(x-key)", "url_param id", "hash req.hdr(x-key)", "uri whole"]:
        for hash_type in ["map-based", "consistent"]:
            yield Scenario("one backup, keys or none", balance, backups, story, [f"hash-type {hash_type}"])
    by_key = [step if not step.startswith("pick") else f"pick-key {keys}" for step in changes]
    yield Scenario("servers added and removed", "hdr(x-key)", three, by_key, ["hash-type consistent"])
    bounded = ["hold-key-times x 4", "add d weight 3 id 4", "up d", "hold-key-times x 9", f"pick-key {keys}"]
    yield Scenario("bounded load, server added", "hdr(x-key)", three, bounded, ["hash-type consistent", "hash-balance-factor 125"])
    for factor in [101, 125, 150, 200, 300]:
        options = ["hash-type consistent", f"hash-balance-factor {factor}"]
        same = ["hold-key-times x 9", "hold-key-times y 9", f"pick-key {keys}"]
        yield Scenario(f"bounded load {factor}", "hdr(x-key)", three, same, options)
        yield Scenario(f"bounded load {factor}, equal", "hdr(x-key)", ["a", "b", "c", "d"], same, options)
        later = ["hold-key-times x 5", "down b", "hold-key-times y 5", f"pick-key {keys}", "up b", "weight a 9", "hold-key-times z 5", f"pick-key {keys}"]
        yield Scenario(f"bounded load {factor}, changes", "hdr(x-key)", ["a weight 3", "b weight 1", "c weight 4", "d"], later, options)


class Generated:
    """A scenario whose steps are drawn while it is played, so that it never blocks on full servers."""

    def __init__(self, seed, balance=None, hash_type=None):
        rng = self.rng = random.Random(seed)
        self.balance = rng.choice(["roundrobin", "roundrobin", "roundrobin", "leastconn", "leastconn", "static-rr", "first"])
        self.title = f"generated {seed}"
        self.options = ["option allbackups"] if rng.random() < 0.5 else []
        if balance:
            # Without keys these take turns. Not with all backups: after those haproxy has active servers wait.
            self.balance, self.options = balance, [f"hash-type {hash_type}"]
            self.title += " without keys"
        self.limits, self.lines = {}, []
        for name in NAMES[: rng.randint(2, 8)]:
            weight = rng.choice([0, 1, 1, 1, 2, 3, 5, 10, 50, 100, 255, 256])
            line = f"{name} weight {weight}"
            if rng.random() < 0.25:
                line += " backup"
            if rng.random() < 0.15:
                line += " disabled"
            if rng.random() < 0.3:
                self.limits[name] = rng.randint(1, 3)
                line += f" maxconn {self.limits[name]}"
            self.lines.append(line)
        self.servers = self.lines
        # One server that is never full keeps every pick possible while it is up.
        self.initial = {line.split()[0]: int(line.split()[2]) for line in self.lines}

    config = Scenario.config

    def next_steps(self, player):
        rng = self.rng
        names = list(self.initial)
        roll = rng.random()
        counts = {name: len(held) for name, held in player.holders.items()}
        if roll < 0.5:
            return [f"pick {rng.randint(1, 20)}"] if not self.near_full(counts, 1) else []
        if roll < 0.62:
            many = rng.randint(1, 3)
            return [f"hold {many}"] if not self.near_full(counts, many) else []
        if roll < 0.72:
            held = [name for name in names if counts[name]]
            return [f"release {rng.choice(held)}"] if held else []
        name = rng.choice(names)
        if roll < 0.84:
            static = self.balance == "static-rr" or "map-based" in str(self.options)
            weight = rng.choice([0, self.initial[name]] if static else [0, 1, 2, 3, 7, 40, 256])
            self.weights[name] = weight
            return [f"weight {name} {weight}"]
        if name in self.down:
            self.down.discard(name)
            return [f"up {name}"]
        self.down.add(name)
        return [f"down {name}"]

    def near_full(self, counts, wanted):
        """Whether `wanted` more requests might find no room, or no server at all."""
        def room(lines):
            total = 0
            for line in lines:
                name = line.split()[0]
                if name in self.down or self.weights[name] == 0:
                    continue
                total += self.limits.get(name, 1000) - counts[name]
            return total
        usable = lambda line: line.split()[0] not in self.down and self.weights[line.split()[0]] > 0
        actives = [line for line in self.lines if "backup" not in line and usable(line)]
        backups = [line for line in self.lines if "backup" in line and usable(line)]
        pool = actives or (backups if "option allbackups" in self.options else backups[:1])
        return room(pool) < wanted

    async def run(self, player):
        self.down = {line.split()[0] for line in self.lines if "disabled" in line}
        self.weights = dict(self.initial)
        lines = []
        for _ in range(60):
            for step in self.next_steps(player):
                lines.append(await player.play(step))
        return lines


async def run_written(scenario, player):
    return [await player.play(step) for step in scenario.steps]


async def record_sequences(directory, servers, version):
    written = list(written_scenarios())
    generated = [Generated(seed) for seed in range(60)]
    for number, balance in enumerate(["hdr(x-key)", "url_param id", "hash req.hdr(x-key)"]):
        for seed in range(100 + 10 * number, 106 + 10 * number):
            generated += [Generated(seed, balance, hash_type) for hash_type in METHODS]
    scenarios = written + generated
    config = "".join(s.config(directory, servers, f"sequence-{i}") for i, s in enumerate(scenarios))
    haproxy = Haproxy(directory, "sequences", config)
    await haproxy.start()
    for file_name, wanted in [("sequences.txt", written), ("sequences-generated.txt", generated)]:
        with open(f"{HERE}/{file_name}", "w") as file:
            file.write(HEADER.format(version=version))
            for scenario in wanted:
                player = Player(directory, servers, haproxy, f"sequence-{scenarios.index(scenario)}")
                file.write(f"\nscenario {scenario.title}\nbalance {scenario.balance}\n")
                file.writelines(f"option {option}\n" for option in scenario.options)
                file.writelines(f"server {line}\n" for line in scenario.servers)
                if isinstance(scenario, Generated):
                    lines = await scenario.run(player)
                else:
                    lines = await run_written(scenario, player)
                file.writelines(line + "\n" for line in lines)
                await player.release_all()
    await haproxy.stop()
    print("sequences", len(scenarios), file=sys.stderr)


# ---------------------------------------------------------------- slow start


async def record_slow_start(directory, servers, version):
    ramps = [(8, 160), (5, 256), (3, 16), (10, 1)]
    config = "listen ramps\n  bind unix@%s\n" % socket_of(directory, "ramps")
    for name, (seconds, weight) in zip(NAMES, ramps):
        config += f"  server {name} unix@{servers.path(name)} weight {weight} slowstart {seconds}s disabled\n"
    haproxy = Haproxy(directory, "ramps", config)
    await haproxy.start()
    # HAProxy counts in whole seconds of the clock: begin early in one, look in the middle of the others.
    await asyncio.sleep(1.1 - time.time() % 1)
    begin = int(time.time())
    for name, _ in zip(NAMES, ramps):
        await haproxy.command(f"set server ramps/{name} state ready")
    seen = {name: [] for name, _ in zip(NAMES, ramps)}
    for elapsed in range(13):
        await asyncio.sleep(begin + elapsed + 0.8 - time.time())
        lines = (await haproxy.command("show stat ramps 4 -1")).splitlines()
        columns = lines[0].lstrip("# ").split(",")
        for line in lines[1:]:
            row = dict(zip(columns, line.split(",")))
            if row.get("svname") in seen:
                seen[row["svname"]].append((elapsed, row["weight"], row["throttle"] or "100"))
    await haproxy.stop()
    with open(f"{HERE}/slow-start.txt", "w") as file:
        file.write(HEADER.format(version=version))
        for name, (seconds, weight) in zip(NAMES, ramps):
            file.write(f"ramp {seconds} {weight}\n")
            file.writelines("at %d %s %s\n" % row for row in seen[name])
    print("slow start", len(ramps), "ramps", file=sys.stderr)


async def main():
    if not os.path.exists(HAPROXY):
        sys.exit(f"{HAPROXY} is missing: apt-get install haproxy, or set HAPROXY")
    version = os.popen(f"{HAPROXY} -v").readline().split(" 20")[0].strip()
    with tempfile.TemporaryDirectory() as directory:
        servers = Servers(directory)
        await servers.start()
        wanted = sys.argv[1:] or ["placements", "sequences", "slow-start"]
        if "placements" in wanted:
            await record_placements(directory, servers, version)
        if "sequences" in wanted:
            await record_sequences(directory, servers, version)
        if "slow-start" in wanted:
            await record_slow_start(directory, servers, version)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    finally:
        for process in RUNNING:
            process.terminate()
