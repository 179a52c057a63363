"""nginx as a reverse proxy: what a proxy in C with no more to do costs."""

import subprocess

from bench.peers import environments
from bench.peers.generator import accepts
from bench.peers.peer import Peer, Place, Running
from tests.processes import Process, free_port

# Kept connections both ways, answers passed on as they come, no access log.
CONFIGURATION = """
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log error;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_max_body_size 20m;
    client_body_buffer_size 512k;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 100000000;
    upstream mock {{ server 127.0.0.1:{mock}; keepalive 256; keepalive_requests 100000000; }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
        }}
    }}
}}
"""


def start(place: Place) -> Running:
    """One worker."""
    program, port = environments.nginx(), free_port()
    folder = place.folder / "nginx"
    folder.mkdir()
    file = folder / "nginx.conf"
    file.write_text(CONFIGURATION.format(folder=folder, mock=place.mock_port, port=port))
    process = place.keep(
        Process([program, "-c", str(file), "-p", str(folder), "-e", str(folder / "nginx.log")], {}, "nginx")
    )
    process.ready_when(lambda: accepts(port))
    # It says "nginx version: nginx/1.22.1", on standard error.
    told = subprocess.run([program, "-v"], capture_output=True, text=True, check=True)  # noqa: S603
    return Running(told.stderr.rpartition("/")[2].split()[0], [port], [process.popen.pid])


PEERS = (Peer("nginx", "nginx, proxy only", start, needs=environments.nginx),)
