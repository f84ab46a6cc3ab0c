"""Channels that carry alerts to people."""

from dbplanmon_pipeline.notify.channels import ChannelSpec, build_channels
from dbplanmon_pipeline.notify.log import LogChannel
from dbplanmon_pipeline.notify.webhook import WebhookChannel

__all__ = ["ChannelSpec", "LogChannel", "WebhookChannel", "build_channels"]
