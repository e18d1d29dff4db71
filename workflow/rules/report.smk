"""One page about everything.

REQUIRED INPUTS:
    results/data, results/models, results/metrics, results/colorized
    results/benchmarks                  what is there when the page is made: Snakemake writes these
                                        files beside the outputs of a job, and no rule can ask for them

OUTPUTS:
    results/report/index.html       self-contained, readable offline
    results/report/figures/         the page's figures as files, for `snakemake --report` and papers
"""


rule write_report:
    input:
        code=code("report"),
        templates=templates("report"),
        catalog="results/data/catalog.csv",
        split="results/data/split.csv",
        moves="results/data/moves.csv",
        audit="results/data/audit.json",
        metrics=[f"results/metrics/{row}.json" for row in ROWS],
        per_image=[f"results/metrics/{row}.per_image.csv" for row in ROWS],
        pictures=[f"results/metrics/{row}.pictures" for row in ROWS],
        histories=list(HISTORIES.values()),
        strips=[f"{os.path.dirname(path)}/strip.jpg" for path in HISTORIES.values()],
        archives=[f"results/colorized/{archive}/status.csv" for archive in ARCHIVES],
    output:
        page="results/report/index.html",
        data=report(
            directory("results/report/figures/data"),
            patterns=["{figure}.svg"],
            caption="../report/captions/data.rst",
            category="Data",
            labels={"figure": "{figure}"},
        ),
        training=report(
            directory("results/report/figures/training"),
            patterns=["{experiment}/{figure}.svg"],
            caption="../report/captions/training.rst",
            category="Training",
            labels={"experiment": "{experiment}", "figure": "{figure}"},
        ),
        measures=report(
            directory("results/report/figures/measures"),
            patterns=["{protocol}/{figure}.svg"],
            caption="../report/captions/measures.rst",
            category="Measures",
            labels={"protocol": "{protocol}", "figure": "{figure}"},
        ),
        slices=report(
            directory("results/report/figures/slices"),
            patterns=["{slice}/{protocol}/{figure}.svg"],
            caption="../report/captions/slices.rst",
            category="Slices",
            labels={
                "slice": "{slice}",
                "protocol": "{protocol}",
                "figure": "{figure}",
            },
        ),
        confidence=report(
            directory("results/report/figures/confidence"),
            patterns=["{experiment}/{figure}.svg"],
            caption="../report/captions/confidence.rst",
            category="Confidence",
            labels={"experiment": "{experiment}", "figure": "{figure}"},
        ),
        pictures=report(
            directory("results/report/figures/pictures"),
            patterns=["{grade}.jpg"],
            caption="../report/captions/pictures.rst",
            category="Pictures",
            labels={"photographs": "{grade}"},
        ),
    log:
        "results/logs/report.log",
    benchmark:
        "results/benchmarks/report.tsv"
    conda:
        ENVIRONMENT
    params:
        title=literally(config["report"]["title"]),
        filters=literally(inline(DATA["filters"])),
        settings=literally(inline(config)),
        logs=[f"{name}={path}" for name, path in HISTORIES.items()],
        benchmarks="results/benchmarks",
        figures=lambda wildcards, output: os.path.dirname(output.data),
    shell:
        r"""
        python {input.code[0]:q} \
            --title {params.title:q} \
            --catalog {input.catalog:q} \
            --split {input.split:q} \
            --moves {input.moves:q} \
            --audit {input.audit:q} \
            --filters {params.filters:q} \
            --metrics {input.metrics:q} \
            --logs {params.logs:q} \
            --archives {input.archives:q} \
            --settings {params.settings:q} \
            --benchmarks {params.benchmarks:q} \
            --figures {params.figures:q} \
            --out {output.page:q} \
            --log {log:q}
        """
