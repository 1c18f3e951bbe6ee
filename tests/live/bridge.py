"""A user-space Ethernet bridge between two interfaces that impairs what it forwards.

The kernels that this runs on have no netem. Usage:
bridge.py LEFT RIGHT [--loss P] [--duplicate P] [--reorder P] [--delay-ms N] [--seed N]
Probabilities are per frame. A reordered frame is sent 5 ms late. Prints "ready", then forwards
until it is terminated.
"""

import argparse
import heapq
import random
import select
import socket
import time

ETH_P_ALL = 3
PACKET_OUTGOING = 4
LATE = 0.005


def opened(name):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.bind((name, 0))
    sock.setblocking(False)
    return sock


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("left")
    parser.add_argument("right")
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--duplicate", type=float, default=0.0)
    parser.add_argument("--reorder", type=float, default=0.0)
    parser.add_argument("--delay-ms", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    left, right = opened(args.left), opened(args.right)
    other = {left: right, right: left}
    # Order of arrival breaks ties, so that frames without impairment stay in order.
    queue, arrivals = [], 0
    print("ready", flush=True)
    while True:
        wait = max(0.0, queue[0][0] - time.monotonic()) if queue else None
        for sock in select.select([left, right], [], [], wait)[0]:
            frame, address = sock.recvfrom(65535)
            if address[2] == PACKET_OUTGOING or chance.random() < args.loss:
                continue
            copies = 2 if chance.random() < args.duplicate else 1
            for _ in range(copies):
                late = LATE if chance.random() < args.reorder else 0.0
                due = time.monotonic() + args.delay_ms / 1000 + late
                heapq.heappush(queue, (due, arrivals, other[sock], frame))
                arrivals += 1
        while queue and queue[0][0] <= time.monotonic():
            _, _, sock, frame = heapq.heappop(queue)
            try:
                sock.send(frame)
            except (BlockingIOError, OSError):
                pass


main()
