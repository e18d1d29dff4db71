"""One page about everything.

REQUIRED INPUTS:
    results/data, results/models, results/metrics, results/colorized
    results/benchmarks                  what is there when the page is made: Snakemake writes these
                                        files beside the outputs of a job, and no rule can ask for them

OUTPUTS:
    results/report/index.html       self-contained, readable offline
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
            --out {output.page:q} \
            --log {log:q}
        """
