"""An origin on loopback: HTTP on 9080, HTTPS on 9443 (certificate and key as arguments).

/bytes/N/anything answers N bytes that follow from the path, so that what was recorded can be compared with what must
have passed. Any other path answers its own name.
"""

import hashlib
import http.server
import ssl
import sys
import threading


def body_of(path):
    parts = path.split("/")
    if len(parts) > 2 and parts[1] == "bytes":
        size = int(parts[2])
        seed = hashlib.sha256(path.encode()).digest()
        return (seed * (size // len(seed) + 1))[:size]
    return path.encode() + b"\n"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = body_of(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True


def main():
    certificate, key = sys.argv[1:3]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    secure = Server(("127.0.0.1", 9443), Handler)
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    Server(("127.0.0.1", 9080), Handler).serve_forever()


if __name__ == "__main__":
    main()
