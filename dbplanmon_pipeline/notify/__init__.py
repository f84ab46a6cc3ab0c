"""Channels that carry alerts to people."""

from dbplanmon_pipeline.notify.apprise import AppriseChannel
from dbplanmon_pipeline.notify.channels import ChannelSpec, build_channels
from dbplanmon_pipeline.notify.log import LogChannel
from dbplanmon_pipeline.notify.mail import EmailChannel
from dbplanmon_pipeline.notify.pagerduty import PagerDutyChannel
from dbplanmon_pipeline.notify.slack import SlackChannel
from dbplanmon_pipeline.notify.teams import TeamsChannel
from dbplanmon_pipeline.notify.webhook import WebhookChannel

__all__ = [
    "AppriseChannel",
    "ChannelSpec",
    "EmailChannel",
    "LogChannel",
    "PagerDutyChannel",
    "SlackChannel",
    "TeamsChannel",
    "WebhookChannel",
    "build_channels",
]
