"""What a gateway reads from AWS Secrets Manager, Google Secret Manager, Azure Key Vault and Kubernetes, from one address, as far as reading
goes. The stores' own tests have doubles that are strict about all the rest; this one shows that each is opened as the file says."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "token-of-the-clouds"


class Clouds:
    def __init__(self):
        self.values = {}  # by name, as that cloud spells it: a text
        self.versions = {}
        self.asked = []
        clouds = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, answer = clouds.answer(self.command, self.path, self.headers, body)
                data = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = "http://127.0.0.1:{}".format(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def put(self, name, value):
        self.values[name] = value
        self.versions[name] = self.versions.get(name, 0) + 1

    def answer(self, method, path, headers, body):
        self.asked.append((method, path))
        if path == "/" and method == "POST":
            return self.aws(headers, json.loads(body))
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"error": {"code": 401, "status": "UNAUTHENTICATED", "message": "no"}}
        path = path.split("?")[0]
        parts = path.strip("/").split("/")
        if path.startswith("/v1/projects/"):
            return self.google(parts)
        if path.startswith("/api/v1/namespaces/"):
            return self.kubernetes(parts)
        return self.azure(parts)

    def aws(self, headers, asked):
        if not headers.get("Authorization", "").startswith("AWS4-HMAC-SHA256 Credential=AKIDOFTHETEST/"):
            return 400, {"__type": "UnrecognizedClientException", "message": "no"}
        name = asked.get("SecretId")
        if name not in self.values:
            return 400, {"__type": "ResourceNotFoundException", "Message": "Secrets Manager can't find the specified secret."}
        version = f"00000000-0000-0000-0000-{self.versions[name]:012d}"
        about = {"ARN": f"arn:aws:secretsmanager:eu-west-1:1:secret:{name}-AbCdEf", "Name": name}
        if headers["X-Amz-Target"] == "secretsmanager.DescribeSecret":
            return 200, {**about, "VersionIdsToStages": {version: ["AWSCURRENT"]}}
        return 200, {**about, "VersionId": version, "VersionStages": ["AWSCURRENT"], "SecretString": self.values[name], "CreatedDate": 1.5}

    def google(self, parts):
        project, name, version = parts[2], parts[4] if len(parts) > 4 else "", parts[6] if len(parts) > 6 else ""
        if project != "p-1" or name not in self.values:
            return 404, {"error": {"code": 404, "status": "NOT_FOUND", "message": "no such secret"}}
        full = f"projects/1/secrets/{name}/versions/{self.versions[name]}"
        one = {"name": full, "createTime": "2026-11-21T10:00:00Z", "state": "ENABLED", "etag": "x"}
        if version.endswith(":access"):
            return 200, {"name": full, "payload": {"data": base64.b64encode(self.values[name].encode()).decode()}}
        return 200, one if version else {"versions": [one]}

    def azure(self, parts):
        name = parts[1]
        if parts[0] != "secrets" or name not in self.values:
            return 404, {"error": {"code": "SecretNotFound", "message": "no such secret"}}
        identity = f"{self.address}/secrets/{name}/{self.versions[name]:032x}"
        about = {"id": identity, "attributes": {"enabled": True, "created": 1, "updated": 1}}
        return 200, {"value": [about]} if parts[-1] == "versions" else {**about, "value": self.values[name]}

    def kubernetes(self, parts):
        """A Secret whose value is no text is somebody else's."""
        if len(parts) == 5 and parts[3] == "llm":
            return 200, {"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1", "metadata": {},
                         "items": [{"metadata": {"name": name, "namespace": "llm"}} for name in sorted(self.values)]}
        name = parts[5] if len(parts) > 5 else ""
        if parts[3] != "llm" or name not in self.values:
            return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "no"}
        return 200, {"kind": "Secret", "apiVersion": "v1", "type": "Opaque",
                     "metadata": {"name": name, "namespace": "llm", "uid": "u", "resourceVersion": str(self.versions[name])},
                     "data": {"entry": base64.b64encode(self.values[name].encode()).decode()} if self.values[name] else {"tls.crt": "eA=="}}
