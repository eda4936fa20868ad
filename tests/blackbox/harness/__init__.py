"""What the black-box tests stand on.

processes   the gateway and the simulator as child processes, watched for leaks, crashes and spilled secrets
wire        HTTP/1.1 by hand over a socket, for shapes that no client library sends or shows
upstream    a provider in plain Python sockets that shares no code with the gateway, able to misbehave in each way
keyed       such a provider that behaves for each key as it is told
load        many exchanges at once over asyncio
expect      what the simulator must answer, worked out anew
prometheus  a strict reader of the metrics text
bad_day     the simulator's scenario peak-hours, played at speed
"""
