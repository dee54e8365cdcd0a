# One image for every service of ours; docker-compose.yml says which command each container runs.
FROM python:3.11-slim AS build
WORKDIR /app
RUN pip install --no-cache-dir uv==0.13.9 && uv venv /app/.venv
COPY requirements.lock ./
RUN uv pip install --python /app/.venv/bin/python --no-cache --compile-bytecode --require-hashes -r requirements.lock
COPY libs libs
COPY services services
COPY sandbox sandbox
COPY cli cli
RUN uv pip install --python /app/.venv/bin/python --no-cache --compile-bytecode --no-deps --no-build-isolation \
    ./libs/job-events ./libs/service-kit ./libs/worker ./libs/platforms ./libs/local-stack \
    ./services/puller ./services/matcher ./services/syncer ./services/job-tracker ./sandbox ./cli

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 jobtrail && mkdir /state && chown jobtrail /state
COPY --from=build /app/.venv /app/.venv
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
USER jobtrail
WORKDIR /home/jobtrail
CMD ["python", "-m", "job_tracker", "api"]
