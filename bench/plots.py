"""Draws what the bench's programs wrote with --csv: a picture for each policy's page in docs/plots/. Needs matplotlib; scripts/bench
--plots brings it. The same numbers give the same bytes."""

import csv
import os

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt  # noqa: E402

# Readable by those who see few colours, on white and on dark pages.
COLOURS = {"blue": "#0072b2", "orange": "#d55e00", "green": "#009e73", "purple": "#cc79a7", "grey": "#777777"}
SIZE = (7.2, 2.9)

plt.rcParams.update({
    "svg.hashsalt": "bellwether", "svg.fonttype": "none", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": True, "grid.color": "#dddddd", "figure.facecolor": "white",
    "legend.frameon": False,
})


def read(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def smooth(values, width):
    """The mean of each value and those before it, up to so many."""
    out = []
    for i in range(len(values)):
        part = values[max(0, i - width + 1):i + 1]
        out.append(sum(part) / len(part))
    return out


def save(figure, folder, name):
    figure.tight_layout()
    path = os.path.join(folder, name + ".svg")
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    plt.close(figure)
    # Lines end without blanks, as everywhere in the repository.
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip() for line in file]
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join(lines) + "\n")
    return path


def by_name(rows, name, column):
    return [float(row[column]) for row in rows if row["client"] == name]


def classes(series, folder):
    rows = read(os.path.join(series, "classes.csv"))
    figure, (left, right) = plt.subplots(1, 2, figsize=SIZE, sharex=True)
    for name, colour in (("critical", "blue"), ("standard", "green"), ("batch", "orange")):
        left.plot(smooth(by_name(rows, name, "came"), 5), color=COLOURS[colour], label=name)
        right.plot(smooth(by_name(rows, name, "served"), 5), color=COLOURS[colour], label=name)
    for axes in (left, right):
        axes.set_yscale("log")
        axes.set_ylim(10, 2000)
    left.set_title("asked for, a second")
    right.set_title("served, a second")
    for axes in (left, right):
        axes.set_xlabel("seconds")
    right.legend(loc="upper right", ncols=3)
    return save(figure, folder, "classes")


def fairness(series, folder):
    rows = read(os.path.join(series, "fairness.csv"))
    names = list(dict.fromkeys(row["client"] for row in rows))
    came = [sum(by_name(rows, name, "came")) for name in names]
    served = [sum(by_name(rows, name, "served")) for name in names]
    seconds = len(rows) / len(names)
    figure, axes = plt.subplots(figsize=SIZE)
    places = range(len(names))
    axes.bar(places, [n / seconds for n in came], color=COLOURS["grey"], alpha=0.45, label="asked for")
    axes.bar(places, [n / seconds for n in served], color=COLOURS["blue"], width=0.5, label="served")
    axes.set_xticks(list(places), names, fontsize=7)
    axes.set_xlabel("client")
    axes.set_ylabel("a second")
    axes.set_ylim(0, 12)
    axes.grid(axis="x", visible=False)
    axes.annotate(f"asked for {came[0] / seconds:.0f}", (0.6, 11.2))
    axes.legend(loc="upper right", ncols=2)
    return save(figure, folder, "fairness")


def targets(series, folder):
    rows = read(os.path.join(series, "targets.csv"))
    figure, axes = plt.subplots(figsize=SIZE)
    for name, label, colour in (("dear", "always the dear model", "grey"), ("auto", "by_size", "blue"), ("cheapest", "optimise: cost", "green")):
        axes.plot([int(row["hour"]) for row in rows], [float(row[name]) for row in rows], color=COLOURS[colour], label=label)
    axes.set_xlabel("hour of the day, UTC")
    axes.set_ylabel("USD an hour")
    axes.set_ylim(bottom=0)
    axes.legend(loc="upper left")
    return save(figure, folder, "targets")


def of_run(rows, policy, run, column):
    return [float(row[column]) for row in rows if row["policy"] == policy and row["run"] == run]


POLICIES = (("headroom", "blue"), ("least_used", "orange"), ("round_robin", "green"))


def policies(series, folder):
    """What the provider refuses, and what clients are answered when an account's limits are halved."""
    rows = read(os.path.join(series, "policies.csv"))
    figure, (left, right) = plt.subplots(1, 2, figsize=SIZE)
    for name, colour in POLICIES:
        left.plot(smooth(of_run(rows, name, "steady", "refused"), 10)[:600], color=COLOURS[colour], label=name)
        right.plot(range(120, 240), smooth(of_run(rows, name, "halved", "answered"), 10)[120:], color=COLOURS[colour])
    left.set_title("429s of the provider, a second")
    right.set_title("answered a second; a limit halves at 180 s")
    left.set_ylim(0, 500)
    right.set_ylim(0)
    left.legend(loc="upper left", fontsize=7)
    for axes in (left, right):
        axes.set_xlabel("seconds")
    return save(figure, folder, "policies")


def mishaps(series, folder):
    rows = read(os.path.join(series, "policies.csv"))
    figure, (left, right) = plt.subplots(1, 2, figsize=SIZE, sharey=True)
    for axes, run, title in ((left, "slow", "a key slow at 180 s"), (right, "dead", "a key dead at 180 s")):
        for name, colour in POLICIES:
            axes.plot(range(120, 240), smooth(of_run(rows, name, run, "answered"), 10)[120:], color=COLOURS[colour], label=name)
        axes.set_title(f"answered a second; {title}")
        axes.set_xlabel("seconds")
        axes.set_ylim(0)
    right.legend(loc="lower right")
    return save(figure, folder, "mishaps")


def adaptive(series, folder):
    rows = read(os.path.join(series, "adaptive.csv"))
    minutes = [int(row["second"]) / 60 for row in rows]
    figure, axes = plt.subplots(figsize=SIZE)
    axes.plot(minutes[::10], [int(row["found"]) for row in rows][::10], color=COLOURS["blue"], linewidth=0.9, label="found")
    axes.plot(minutes[::10], [int(row["hidden"]) for row in rows][::10], color=COLOURS["orange"], label="hidden")
    axes.set_xlabel("minutes")
    axes.set_ylabel("requests a minute")
    axes.set_ylim(0, 420)
    axes.legend(loc="upper right", ncols=2)
    return save(figure, folder, "adaptive")


def gradient(series, folder):
    rows = read(os.path.join(series, "gradient.csv"))
    minutes = [int(row["second"]) / 60 for row in rows]
    figure, axes = plt.subplots(figsize=SIZE)
    axes.plot(minutes[::5], [int(row["found"]) for row in rows][::5], color=COLOURS["blue"], linewidth=0.9, label="found")
    axes.plot(minutes[::5], [int(row["places"]) for row in rows][::5], color=COLOURS["orange"], label="places of the server")
    axes.set_xlabel("minutes")
    axes.set_ylabel("requests at once")
    axes.set_ylim(0, 40)
    axes.legend(loc="upper right", ncols=2)
    return save(figure, folder, "gradient")


def regions(series, folder):
    rows = read(os.path.join(series, "regions.csv"))
    minutes = [int(row["second"]) / 60 for row in rows]
    figure, axes = plt.subplots(figsize=SIZE)
    shares = [[float(row[name]) for row in rows] for name in ("first", "second_region", "third")]
    axes.stackplot(minutes, shares, labels=("nearest", "second", "third"), colors=[COLOURS[c] for c in ("blue", "orange", "grey")], alpha=0.75)
    for at, what in ((5, "slow"), (15, "well"), (30, "dead"), (35, "back"), (45, "loses a third"), (50, "all dead"), (52, "")):
        axes.axvline(at, color="black", linewidth=0.6, linestyle=":")
        axes.text(at + 0.3, 103, what, fontsize=7)
    axes.set_xlabel("minutes")
    axes.set_ylabel("attempts, %")
    axes.set_ylim(0, 112)
    axes.set_xlim(0, 62)
    axes.legend(loc="lower right", framealpha=0.9, frameon=True)
    return save(figure, folder, "regions")


def hedging(series, folder):
    """How late the slowest are: what part of the answers begins later than so many seconds."""
    rows = read(os.path.join(series, "hedging.csv"))
    figure, axes = plt.subplots(figsize=SIZE)
    shown = (("none", "without", "grey"), ("{after: p95, budget: 1%}", "p95, budget 1%", "purple"),
             ("{after: p95, budget: 5%}", "p95, budget 5%", "orange"), ("{after: p95, budget: 10%}", "p95, budget 10%", "blue"))
    for name, label, colour in shown:
        points = [(int(row["ms"]) / 1000, float(row["slower_ppm"]) / 1e4) for row in rows if row["hedge"] == name]
        axes.plot([x for x, _ in points], [y for _, y in points], color=COLOURS[colour], label=label)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("seconds until the first byte")
    axes.set_ylabel("slower, %")
    axes.set_xticks([0.5, 1, 2, 5, 10], ["0.5", "1", "2", "5", "10"])
    axes.set_yticks([50, 10, 5, 1, 0.1], ["50", "10", "5", "1", "0.1"])
    axes.minorticks_off()
    axes.set_ylim(0.05, 50)
    axes.legend(loc="upper right")
    return save(figure, folder, "hedging")


def budgets(series, folder):
    """What two clients and their pool have spent of the day, and what part of their requests is refused."""
    rows = read(os.path.join(series, "budgets.csv"))
    hours = [float(row["hour"]) for row in rows]
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(SIZE[0], SIZE[1] + 0.8), sharex=True, height_ratios=(3, 1))
    for name, label, colour in (("pool", "both: the pool", "grey"), ("web", "web", "blue"), ("app", "app", "orange")):
        top.plot(hours, [float(row[name]) for row in rows], color=COLOURS[colour], label=label)
    for limit, colour in ((60, "blue"), (100, "grey")):
        top.axhline(y=limit, color=COLOURS[colour], linewidth=0.8, linestyle=":")
    for name, colour in (("web", "blue"), ("app", "orange")):
        bottom.plot(hours, [float(row[name + "_refused"]) for row in rows], color=COLOURS[colour], drawstyle="steps-pre")
    top.set_ylabel("USD in the day")
    top.set_ylim(0, 112)
    top.legend(loc="upper left", ncols=3)
    bottom.set_ylabel("refused, %")
    bottom.set_yticks([0, 100])
    bottom.set_xticks(range(0, 73, 12), [f"{hour % 24:02}:00" for hour in range(0, 73, 12)])
    bottom.set_xlim(0, 72)
    return save(figure, folder, "budgets")


def sessions(series, folder):
    """How many requests find their prompt cached, while keys come and go."""
    rows = read(os.path.join(series, "sessions.csv"))
    figure, axes = plt.subplots(figsize=SIZE)
    for name, colour in (("sticky", "blue"), ("least_used", "orange"), ("headroom", "purple"), ("round_robin", "green")):
        points = [(int(row["minute"]) + 0.5, float(row["warm"])) for row in rows if row["selection"] == name]
        axes.plot([x for x, _ in points], [y for _, y in points], color=COLOURS[colour], label=name)
    for at, what in ((10, "a key goes"), (20, "one comes"), (30, "one at its limit"), (34, "")):
        axes.axvline(at, color="black", linewidth=0.6, linestyle=":")
        axes.text(at + 0.3, 103, what, fontsize=7)
    axes.set_xlabel("minutes")
    axes.set_ylabel("prompt cached, %")
    axes.set_ylim(0, 112)
    axes.set_xlim(0, 45)
    axes.legend(loc="lower right", ncols=4)
    return save(figure, folder, "sessions")


PLOTS = {"adaptive": adaptive, "gradient": gradient, "regions": regions, "policies": policies, "mishaps": mishaps, "sessions": sessions, "classes": classes, "fairness": fairness,
         "targets": targets, "hedging": hedging, "budgets": budgets}
