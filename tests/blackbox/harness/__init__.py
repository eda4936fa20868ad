"""What the black-box tests stand on: processes under test, a raw HTTP client, and upstreams that share no code with them.

    processes   the gateway and the simulator as child processes, watched for leaks, crashes and spilled secrets
    wire        HTTP/1.1 by hand over a socket, for shapes that no client library sends or shows
    upstream    a provider in plain Python sockets, able to misbehave in each way
    load        many exchanges at once over asyncio
    expect      what the simulator must answer, worked out anew
    prometheus  a strict reader of the metrics text
"""
