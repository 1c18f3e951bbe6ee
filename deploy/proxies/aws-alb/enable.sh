#!/bin/sh
# AWS ALB: access logs to a bucket, which shadowtap reads as they are (gz too). Needs the aws command
# and rights to change the load balancer. Usage: enable.sh LOAD_BALANCER_ARN BUCKET
#
#   aws s3 sync "s3://BUCKET/shadowtap" logs && find logs -name '*.gz' | xargs shadowtap logs
set -eu

aws elbv2 modify-load-balancer-attributes --load-balancer-arn "$1" --attributes \
    Key=access_logs.s3.enabled,Value=true \
    "Key=access_logs.s3.bucket,Value=$2" \
    Key=access_logs.s3.prefix,Value=shadowtap
