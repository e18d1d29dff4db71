"""From models to figures: each experiment and each yardstick against the same photographs.

REQUIRED INPUTS:
    results/data/catalog.csv, split.csv         the test photographs, read from their originals
    results/models/                             the experiments' weights

    evaluate.compare, evaluate.plates           folders of the configuration

OUTPUTS:
    results/metrics/reference.npz               what the judging networks see in the photographs
    results/metrics/{row}.json                  figures with intervals, protocol and digests
    results/metrics/{row}.per_image.csv         the same per photograph
    results/metrics/{row}.pictures/             predictions for up to 1,000 photographs
    results/models/{experiment}/{phase}/calibration.json    what its uncertainty is worth
"""


rule reference:
    input:
        code=code("reference"),
        catalog="results/data/catalog.csv",
        split="results/data/split.csv",
    output:
        reference="results/metrics/reference.npz",
    log:
        "results/logs/reference.log",
    benchmark:
        "results/benchmarks/reference.tsv"
    conda:
        ENVIRONMENT
    shell:
        r"""
        python {input.code[0]:q} \
            --catalog {input.catalog:q} \
            --split {input.split:q} \
            --out {output.reference:q} \
            --threads {threads} \
            --log {log:q}
        """


rule evaluate_row:
    input:
        code=code("evaluate"),
        reference="results/metrics/reference.npz",
        catalog="results/data/catalog.csv",
        split="results/data/split.csv",
        table="results/data/shards.csv",
        shards=shard_files,
        model=model_of_row,
    output:
        figures="results/metrics/{row}.json",
        per_image="results/metrics/{row}.per_image.csv",
        pictures=directory("results/metrics/{row}.pictures"),
    log:
        "results/logs/evaluate/{row}.log",
    benchmark:
        "results/benchmarks/evaluate/{row}.tsv"
    conda:
        ENVIRONMENT
    params:
        what=source_of_row,
        protocols=",".join(config["evaluate"]["protocols"]),
        degradations=",".join(config["evaluate"]["degradations"]),
        plates=lambda wildcards: [
            word
            for name, folders in config["evaluate"]["plates"].items()
            for word in ("--plates", name, folders["scans"], folders["truth"])
        ],
        compared=compared_digest,
    shell:
        r"""
        python {input.code[0]:q} \
            --row {wildcards.row:q} \
            {params.what:q} \
            --catalog {input.catalog:q} \
            --split {input.split:q} \
            --shards {input.table:q} \
            --protocols {params.protocols} \
            --degradations={params.degradations} \
            {params.plates:q} \
            --reference {input.reference:q} \
            --out {output.figures:q} \
            --per-image {output.per_image:q} \
            --pictures {output.pictures:q} \
            --threads {threads} \
            --allow-rejects \
            --log {log:q}
        """


rule calibrate:
    input:
        code=code("calibrate"),
        catalog="results/data/catalog.csv",
        split="results/data/split.csv",
        model="results/models/{experiment}/{phase}/model.safetensors",
    output:
        "results/models/{experiment}/{phase}/calibration.json",
    log:
        "results/logs/calibrate/{experiment}-{phase}.log",
    benchmark:
        "results/benchmarks/calibrate/{experiment}-{phase}.tsv"
    conda:
        ENVIRONMENT
    shell:
        r"""
        python {input.code[0]:q} \
            --model {input.model:q} \
            --catalog {input.catalog:q} \
            --split {input.split:q} \
            --out {output:q} \
            --threads {threads} \
            --log {log:q}
        """
