"""The receiver of the specification (Python + Flask), but for the port."""

import json
from typing import Any

from flask import Flask, jsonify, request
from werkzeug.serving import make_server

app = Flask(__name__)


@app.route("/webhook/ocr-wallet", methods=["POST"])
def handle_webhook() -> Any:
    data = request.json

    if data.get("event_type") == "ocr_wallet_data":
        wallet_data = data["data"]
        metadata = data["metadata"]

        if metadata["data_age_seconds"] > 300:
            print("数据过期，忽略处理", flush=True)
            return jsonify({"success": True})

        told = {key: wallet_data[key] for key in ("wallet_code", "wx_nick_name", "group_id")}
        print("收到OCR钱包数据:", json.dumps(told, ensure_ascii=False), flush=True)
        return jsonify({"success": True})

    return jsonify({"error": "Unknown event type"}), 400


if __name__ == "__main__":
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"port {server.server_port}", flush=True)
    server.serve_forever()
