"""Photochrom: colour photographs to a trained colorization model, an archive to colorized
derivatives, and both to a report.

    snakemake --cores N                                        everything, by config.yaml
    snakemake --cores N colorize --config archive=/scans       an archive, and what it needs

Targets: all (the default), data, train, evaluate, colorize, report.
"""

from snakemake.utils import min_version

min_version("9.27")


include: "workflow/rules/common.smk"
include: "workflow/rules/data.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/colorize.smk"
include: "workflow/rules/report.smk"


report: "workflow/report/captions/workflow.rst"


localrules:
    all,
    data,
    train,
    evaluate,
    colorize,
    report,


rule all:
    default_target: True
    input:
        "results/report/index.html",


rule data:
    input:
        "results/data/split.csv",
        "results/data/audit.json",


rule train:
    input:
        list(TRAINED.values()),


rule evaluate:
    input:
        [f"results/metrics/{row}.json" for row in ROWS],


rule colorize:
    input:
        [f"results/colorized/{archive}/status.csv" for archive in ARCHIVES],
        [f"results/bags/{archive}" for archive in ARCHIVES if config["colorize"]["bag"]],


rule report:
    input:
        "results/report/index.html",
