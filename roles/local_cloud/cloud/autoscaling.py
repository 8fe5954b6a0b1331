"""The API of Application Auto Scaling, which the emulator lacks: moto's server, patched.

What AWS does: a scalable target carries tags, and it is refused when its ECS
service does not exist
(https://docs.aws.amazon.com/autoscaling/application/APIReference/API_ListTagsForResource.html).
What moto does: no ``ListTagsForResource``, on which the Terraform provider retries
for minutes; and it looks for the service in its own, empty ECS. Both are patched.
It only stores: nothing here moves a service's number of tasks.
"""

from __future__ import annotations

import json
import logging
import os
import threading
from typing import Any

from werkzeug.serving import BaseWSGIServer, make_server

from roles.local_cloud.cloud.config import CloudConfig

logger = logging.getLogger(__name__)


class AutoscalingServer:
    """moto's server on a thread of its own, on the loopback address only."""

    def __init__(self, config: CloudConfig) -> None:
        self._config = config
        self._server: BaseWSGIServer | None = None

    def start(self) -> None:
        """Import moto (about a second), patch it and answer requests from here on."""
        # moto takes the account from the environment when it is imported.
        os.environ["MOTO_ACCOUNT_ID"] = self._config.account_id
        _patch_moto()
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

        application = DomainDispatcherApplication(create_backend_app)
        self._server = make_server(
            self._config.loopback_address,
            self._config.autoscaling_port,
            application,
            threaded=True,
        )
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        threading.Thread(target=self._server.serve_forever, name="autoscaling-api", daemon=True).start()
        logger.info("Application Auto Scaling answers on port %d", self._config.autoscaling_port)

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def _patch_moto() -> None:
    from moto.applicationautoscaling import models, responses

    def list_tags_for_resource(self: Any) -> str:
        return json.dumps({"Tags": _tags.get(self._get_param("ResourceARN"), {})})

    def tag_resource(self: Any) -> str:
        _tags.setdefault(self._get_param("ResourceARN"), {}).update(self._get_param("Tags") or {})
        return "{}"

    def untag_resource(self: Any) -> str:
        tags = _tags.get(self._get_param("ResourceARN"), {})
        for key in self._get_param("TagKeys") or []:
            tags.pop(key, None)
        return "{}"

    def register_scalable_target(self: Any) -> str:
        answer: str = register(self)
        # Tags given at registration are added; without any, those that are there stay.
        tags = self._get_param("Tags")
        if tags:
            _tags.setdefault(json.loads(answer)["ScalableTargetARN"], {}).update(tags)
        return answer

    _tags: dict[str, dict[str, str]] = {}
    response: Any = responses.ApplicationAutoScalingResponse
    register = response.register_scalable_target
    response.register_scalable_target = register_scalable_target
    response.list_tags_for_resource = list_tags_for_resource
    response.tag_resource = tag_resource
    response.untag_resource = untag_resource
    backend: Any = models.ApplicationAutoscalingBackend
    backend._ecs_service_exists_for_target = lambda self, resource_id: True
