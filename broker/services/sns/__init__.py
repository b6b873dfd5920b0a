"""SNS: AWS's meaning of topics, subscriptions and publishing, over the queue engine."""
