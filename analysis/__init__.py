"""What a circuit and its training teach: functions under the figures and notebooks."""
