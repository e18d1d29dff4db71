"""From an archive of scans to colorized derivatives.

REQUIRED INPUTS:
    config["archive"]                                   one or several folders
    config["colorize"]["weights"]                       the model
    config["colorize"]["hints"]                         known colours, where there are any
    config["colorize"]["review"]                        what was decided on the review page

OUTPUTS:
    results/colorized/{archive}/status.csv              one row per file of the archive
    results/colorized/{archive}/review.html             before and after, to be looked at
    results/colorized/{archive}/manifest-sha256.txt     digests of all derivatives
    results/colorized/{archive}/events.csv              what was done to each file, after PREMIS
    results/bags/{archive}/                             all of it as a BagIt bag, where asked for

The derivatives themselves and their sidecars stand beside these files. They are no declared
outputs, because Snakemake deletes those of a failed or repeated job; which are finished is known
by the digests in their sidecars.
"""


# A checkpoint: how many files there are decides how many jobs colorize them.
checkpoint plan:
    input:
        code=code("plan"),
    output:
        plan=directory("results/colorized/{archive}/plan"),
    log:
        "results/logs/plan/{archive}.log",
    conda:
        ENVIRONMENT
    params:
        archive=lambda wildcards: ARCHIVES[wildcards.archive],
        digest=archive_digest,
        shard_size=config["colorize"]["shard_size"],
        format=config["colorize"]["format"],
    shell:
        r"""
        python {input.code[0]:q} {params.archive:q} \
            --shard-size {params.shard_size} \
            --format {params.format} \
            --out {output.plan:q} \
            --log {log:q}
        """


rule export_onnx:
    input:
        code=code("export_onnx"),
        model=lambda wildcards: model_here(WEIGHTS),
    output:
        "results/models/exported/model.onnx",
    log:
        "results/logs/export_onnx.log",
    conda:
        ENVIRONMENT
    shell:
        r"""
        python {input.code[0]:q} {input.model:q} {output:q} --log {log:q}
        """


rule colorize_shard:
    input:
        code=code("colorize"),
        plan="results/colorized/{archive}/plan/shard-{shard}.csv",
        model=lambda wildcards: model_here(RUNNING),
        calibration=CALIBRATION,
        hints=HINTS,
        review=REVIEW,
    output:
        status="results/colorized/{archive}/status/shard-{shard}.csv",
    log:
        "results/logs/colorize/{archive}-{shard}.log",
    benchmark:
        "results/benchmarks/colorize/{archive}-{shard}.tsv"
    conda:
        ENVIRONMENT
    params:
        backend=BACKEND,
        max_megapixels=config["colorize"]["max_megapixels"],
        seal=SEAL,
        settings=inline({name: config["colorize"][name] for name in SETTINGS}),
        folder=subpath(output.status, ancestor=2),
        tables=human_tables,
        calibration=lambda wildcards, input: (
            ["--calibration", input.calibration] if input.calibration else []
        ),
    shell:
        r"""
        python {input.code[0]:q} \
            --plan {input.plan:q} \
            --model {input.model:q} \
            --backend {params.backend} \
            --max-megapixels {params.max_megapixels} \
            --settings {params.settings:q} \
            {params.tables:q} {params.calibration:q} {params.seal:q} \
            --out {params.folder:q} \
            --status {output.status:q} \
            --threads {threads} \
            --allow-rejects \
            --log {log:q}
        """


rule gather:
    input:
        code=code("gather"),
        templates=templates("review"),
        plan="results/colorized/{archive}/plan",
        statuses=archive_statuses,
        hints=HINTS,
        review=REVIEW,
    output:
        status="results/colorized/{archive}/status.csv",
        review="results/colorized/{archive}/review.html",
        manifest="results/colorized/{archive}/manifest-sha256.txt",
        events="results/colorized/{archive}/events.csv",
    log:
        "results/logs/gather/{archive}.log",
    conda:
        ENVIRONMENT
    params:
        folder=subpath(output.status, parent=True),
        tables=human_tables,
    shell:
        r"""
        python {input.code[0]:q} \
            --archive {wildcards.archive:q} \
            --plan {input.plan:q} \
            --status {input.statuses:q} \
            --root {params.folder:q} \
            {params.tables:q} \
            --out {output.status:q} \
            --review {output.review:q} \
            --manifest {output.manifest:q} \
            --events {output.events:q} \
            --log {log:q}
        """


rule bag:
    input:
        code=code("bag"),
        status="results/colorized/{archive}/status.csv",
        review="results/colorized/{archive}/review.html",
        manifest="results/colorized/{archive}/manifest-sha256.txt",
        events="results/colorized/{archive}/events.csv",
    output:
        bag=directory("results/bags/{archive}"),
    log:
        "results/logs/bag/{archive}.log",
    conda:
        ENVIRONMENT
    params:
        folder=subpath(input.status, parent=True),
    shell:
        r"""
        python {input.code[0]:q} \
            --archive {wildcards.archive:q} \
            --root {params.folder:q} \
            --out {output.bag:q} \
            --threads {threads} \
            --log {log:q}
        """
